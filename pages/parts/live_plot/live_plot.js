// Draws plotly figures into one plot that stays. `_pack` in __init__.py describes what comes in.
// What Python puts in front of this defines `follow`.

const ARRAYS = { u1: Uint8Array, f4: Float32Array, f8: Float64Array }
const CONFIG = {
  displaylogo: false,
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
}
const REST = 400 // milliseconds
let plotlyLoaded // a promise, shared by all plots of the page
const plots = new WeakMap() // element -> what is known about its plot

export default function ({ data, parentElement, setTriggerValue }) {
  const element = parentElement.querySelector(".live-plot")
  const plot = plots.get(element) ?? newPlot(element)
  plot.setTriggerValue = setTriggerValue
  if (data.follow) plot.leave = follow(data.follow, (message) => drawNow(plot, message))
  else {
    plot.message = data
    schedule(plot)
  }
  return () => setTimeout(() => element.isConnected || close(plot)) // also called by updates
}

function newPlot(element) {
  const plot = { element, traces: [], width: 0 }
  plot.observer = new ResizeObserver(([{ contentRect }]) => {
    const width = Math.floor(contentRect.width)
    if (width !== plot.width) schedule(plot)
    plot.width = width
  })
  plot.observer.observe(element)
  element.onpointerenter = () => schedule(plot) // for the traces that only answer the mouse
  plots.set(element, plot)
  return plot
}

function close(plot) {
  plot.observer.disconnect()
  plot.leave?.()
  plots.delete(plot.element)
  window.Plotly?.purge(plot.element)
}

// However many messages come in, each screen refresh draws the newest and forgets the others.
function schedule(plot) {
  if (plot.scheduled || !plot.message) return
  plot.scheduled = true
  requestAnimationFrame(async () => {
    try {
      await loadPlotly(read(plot).header.script)
      plot.scheduled = false
      if (plot.element.isConnected && plot.width) draw(plot)
    } catch (error) {
      plot.scheduled = false
      if (!plot.drawn) plot.element.textContent = "The chart could not be drawn. Reload the page."
      throw error
    }
  })
}

// A frame that others draw their part of just now.
function drawNow(plot, message) {
  plot.message = message
  if (window.Plotly && plot.drawn && plot.element.isConnected && plot.width) draw(plot)
  else schedule(plot)
}

function read({ element, message }) {
  const text = withTheme(element, new TextDecoder().decode(message))
  const [header, layout, marks, ...traces] = text.split("\n")
  return { header: JSON.parse(header), layout, marks: JSON.parse(marks), traces }
}

function draw(plot) {
  const { element, width } = plot
  const { header, layout, marks, traces } = read(plot)
  const frame = [layout, width, header.height, header.unseen.join()]
  const kept = traces.map((line, i) => line === plot.traces[i]?.line || header.unseen.includes(i))
  if (String(frame) === plot.frame && kept.every(Boolean) && !mouseAsks(plot, traces)) {
    window.Plotly.relayout(element, marks) // a tenth of the work of `react`
  } else {
    if (!plot.drawn) element.textContent = ""
    element.style.height = `${header.height}px`
    plot.frame = String(frame)
    plot.traces = traces.map((line, i) =>
      line === plot.traces[i]?.line ? plot.traces[i] : { line, trace: JSON.parse(line, unpack) },
    )
    window.Plotly.react(
      element,
      plot.traces.map(({ trace }) => ({ ...trace })), // plotly writes into what it is given
      { ...JSON.parse(layout), ...marks, width, height: header.height },
      CONFIG,
    )
    if (!plot.drawn) element.on("plotly_click", (event) => click(plot, event))
    plot.drawn = true
  }
  describe(element, header)
  plot.clickable = header.clickable
}

// Unseen traces answer the mouse. They are slow to draw, and nobody reads numbers that change with
// every frame: they are brought up to date while the mouse is on the plot, then rest for a moment.
function mouseAsks(plot, traces) {
  const changed = traces.some((line, i) => line !== plot.traces[i].line)
  if (!changed || plot.resting || !plot.element.matches(":hover")) return false
  plot.resting = setTimeout(() => {
    plot.resting = undefined
    schedule(plot)
  }, REST)
  return true
}

function describe(element, { label, epoch, clickable }) {
  element.classList.toggle("live-plot-clickable", clickable)
  element.setAttribute("aria-label", label)
  element.removeAttribute("aria-busy")
  if (epoch === null) delete element.dataset.epoch
  else element.dataset.epoch = epoch
}

function click(plot, { points: [point] }) {
  if (!plot.clickable || !point) return
  const { x, y, curveNumber: trace, pointIndex: index, customdata = null } = point
  plot.setTriggerValue("click", { x, y, trace, index, customdata })
}

// "var(--name)" becomes the value of the theme in use.
function withTheme(element, text) {
  const style = getComputedStyle(element)
  const neutral = `--neutral-${style.colorScheme === "dark" ? "dark" : "light"}`
  return text.replace(/var\((--[\w-]+)\)/g, (_, name) => {
    const value = style.getPropertyValue(name === "--neutral" ? neutral : name).trim()
    return JSON.stringify(value).slice(1, -1)
  })
}

// For JSON.parse: {dtype, bdata, shape} becomes a typed array, nested where it has more dimensions.
function unpack(_, value) {
  if (typeof value?.bdata !== "string") return value
  const bytes = Uint8Array.from(atob(value.bdata), (letter) => letter.charCodeAt(0))
  return nest(new ARRAYS[value.dtype](bytes.buffer), value.shape)
}

function nest(flat, [rows, ...rest]) {
  if (!rest.length) return flat
  const size = flat.length / rows
  return Array.from({ length: rows }, (_, i) => nest(flat.subarray(i * size, (i + 1) * size), rest))
}

function loadPlotly(path) {
  plotlyLoaded ??= new Promise((resolve, reject) => {
    const script = document.createElement("script")
    const app = document.querySelector('script[src*="/static/js/"]')?.src // also behind a proxy
    script.src = app ? new URL(`../..${path}`, app) : path
    script.onload = resolve
    script.onerror = () => {
      plotlyLoaded = undefined // the next frame tries again
      reject(new Error(`plotly.js could not be loaded from ${script.src}`))
    }
    document.head.append(script)
  })
  return plotlyLoaded
}
