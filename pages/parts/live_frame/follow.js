// What every view of the page can follow: by name, the newest message and who shows it.
const followed = (globalThis.liveFrameFollowed ??= new Map())

function topic(name) {
  if (!followed.has(name)) followed.set(name, {})
  return followed.get(name)
}

// Show the newest message for `name`, and each one to come. Returns a function that stops it.
function follow(name, show) {
  const here = topic(name)
  here.show = show
  if (here.message) show(here.message)
  return () => {
    if (here.show === show) here.show = undefined
  }
}
