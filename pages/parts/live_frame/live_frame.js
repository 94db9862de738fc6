// Hands out frames. `_pack` in __init__.py describes what comes in.

const CALM = 250 // milliseconds between frames, at least, where motion is to be reduced
const stillness = matchMedia("(prefers-reduced-motion: reduce)")
const stages = new WeakMap() // element -> what is known about its frames

export default function ({ data, parentElement }) {
  const element = parentElement.querySelector(".live-frame")
  const stage = stages.get(element) ?? { element, shownAt: -Infinity }
  stages.set(element, stage)
  stage.frame = unpack(data)
  schedule(stage)
  return () => setTimeout(() => document.querySelector(".live-frame") || forget())
}

// However many frames come in, each screen refresh shows the newest and forgets the others.
function schedule(stage) {
  if (stage.scheduled) return
  stage.scheduled = true
  const calm = stage.frame.live && stillness.matches ? CALM : 0
  const wait = stage.shownAt + calm - performance.now()
  const next = () => requestAnimationFrame(() => show(stage))
  if (wait > 0) setTimeout(next, wait)
  else next()
}

function show(stage) {
  stage.scheduled = false
  stage.shownAt = performance.now()
  if (!stage.element.isConnected) return
  const { status, messages } = stage.frame
  showStatus(stage.element, status)
  for (const [name, message] of messages) {
    const place = topic(name)
    place.message = message
    try {
      place.show?.(message)
    } catch (error) {
      reportError(error) // the others are shown nevertheless
    }
  }
}

function unpack(data) {
  const bytes = data.slice() // a copy that stays
  const end = bytes.indexOf(10)
  const text = (part) => new TextDecoder().decode(part)
  const { live, names, lengths } = JSON.parse(text(bytes.subarray(0, end)))
  let at = end + 1
  const [status, ...parts] = lengths.map((length) => bytes.subarray(at, (at += length)))
  return { live, status: text(status), messages: names.map((name, i) => [name, parts[i]]) }
}

// The element stays, and in it whatever is as before: it can be selected, and is not read out anew.
function showStatus(element, html) {
  const template = document.createElement("template")
  template.innerHTML = html
  const next = template.content.firstElementChild
  const now = element.firstElementChild
  if (now?.children.length !== next.children.length) return element.replaceChildren(next)
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value)
  }
  for (const [i, child] of [...next.children].entries()) {
    if (!now.children[i].isEqualNode(child)) now.children[i].replaceWith(child)
  }
}

// The page is left: what was shown is no longer how things stand when it comes back.
function forget() {
  for (const place of followed.values()) place.message = undefined
}
