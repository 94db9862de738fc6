"""The pieces of the Data page: four sources of data, and a look at the data of now."""
