const LINE = 17
const TITLE = 24
const SVG = "http://www.w3.org/2000/svg"
const LEGEND = [
  ["value", "", "computed forward, from left to right"],
  ["grad", "", "∂L/∂(this box), computed backward, from right to left"],
  ["", "--positive", "L grows when this grows"],
  ["", "--negative", "L falls when this grows"],
]

const wishes = new WeakMap()

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".graph") ?? build(parentElement)
  wishes.set(root, (step) => setTriggerValue("step", step))
  draw(root, data)
}

function build(parent) {
  const root = document.createElement("div")
  root.className = "graph"
  const scroll = document.createElement("div")
  scroll.className = "scroll"
  scroll.append(element("svg", { role: "group" }))
  root.append(scroll, legend())
  parent.append(root)
  const wish = (event) => {
    const node = event.target.closest("[data-step]")
    if (!node || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return
    event.preventDefault()
    wishes.get(root)(Number(node.dataset.step))
  }
  scroll.addEventListener("click", wish)
  scroll.addEventListener("keydown", wish)
  return root
}

function legend() {
  const list = document.createElement("div")
  list.className = "legend"
  for (const [word, swatch, meaning] of LEGEND) {
    const entry = document.createElement("span")
    if (swatch) {
      const mark = document.createElement("i")
      mark.style.setProperty("--swatch", `var(${swatch})`)
      entry.append(mark, meaning)
    } else {
      const strong = document.createElement("b")
      strong.textContent = word
      entry.append(strong, ` ${meaning}`)
    }
    list.append(entry)
  }
  return list
}

function draw(root, scene) {
  const svg = root.querySelector("svg")
  const focused = svg.getRootNode().activeElement?.dataset?.index
  svg.setAttribute("viewBox", `0 0 ${scene.width} ${scene.height}`)
  svg.setAttribute("aria-label", scene.label)
  svg.style.setProperty("--width", `${scene.width}px`)
  const active = scene.edges.filter((edge) => edge.sent !== null)
  const quiet = scene.edges.filter((edge) => edge.sent === null)
  svg.replaceChildren(
    ...quiet.map(line),
    ...active.map(line),
    ...scene.nodes.map(box),
    ...active.filter((edge) => edge.sent).map(sent),
  )
  if (focused !== undefined) svg.querySelector(`[data-index="${focused}"]`)?.focus()
  reveal(root.querySelector(".scroll"), scene)
}

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

// ---- lines -----------------------------------------------------------------------------------

/** A line to its target, or, while a gradient flows along it, back to its source. */
function line(edge) {
  const [first, ...rest] = edge.points
  let path = `M ${first}`
  let last = first
  rest.forEach((point, index) => {
    const bend = (point[0] - last[0]) / 2
    path += index % 2 ? ` L ${point}` : ` C ${last[0] + bend} ${last[1]}, ${point[0] - bend} ${point[1]}, ${point}`
    last = point
  })
  const back = edge.sent !== null
  const kind = back ? "active" : edge.constant ? "constant" : ""
  const [x, y] = back ? first : last
  const size = back ? 11 : 7
  const base = back ? x + size : x - size
  const tip = `M ${x} ${y} L ${base} ${y - size / 2} L ${base} ${y + size / 2} Z`
  return element(
    "g",
    { "aria-hidden": "true" },
    element("path", { d: path, class: `edge ${kind}` }),
    element("path", { d: tip, class: `tip ${kind}` }),
  )
}

/** What flows back along a line, written on it. */
function sent(edge) {
  const [x, y, width] = edge.place
  return element(
    "g",
    { class: "sent", "aria-hidden": "true" },
    element("rect", { x: x - width / 2, y: y - 9, width, height: 18, rx: 9 }),
    element("text", { x, y: y + 4 }, edge.sent),
  )
}

// ---- boxes -----------------------------------------------------------------------------------

function box(node, index) {
  const { x, y, width, height } = node
  const attributes = { class: `node ${node.kind}${node.current ? " current" : ""}`, "data-index": index }
  attributes["aria-label"] = node.label
  attributes.role = node.step === null ? "img" : "button"
  if (node.step !== null) Object.assign(attributes, { tabindex: 0, "data-step": node.step })
  if (node.current) attributes["aria-current"] = "step"
  const group = element("g", attributes)
  group.append(
    element("title", {}, node.label),
    element("rect", { x, y, width, height, rx: node.kind === "constant" && !node.value.length ? height / 2 : 7, class: "box" }),
    element("text", { x: node.value.length ? x + 10 : x + width / 2, y: y + 17, class: "title", "text-anchor": node.value.length ? "start" : "middle" }, node.title),
  )
  if (!node.value.length) return group
  group.append(...numbers(node, y + TITLE, "value", node.value))
  if (!node.rows) return group
  const top = y + TITLE + LINE * node.value.length + 2
  group.append(
    element("rect", {
      x: x + 4,
      y: top,
      width: width - 8,
      height: LINE * node.rows,
      rx: 4,
      class: `strip ${node.gradient ? node.tint : "unknown"}`,
    }),
    ...numbers(node, top, "grad", node.gradient ?? [["?"]]),
  )
  if (node.missing) group.append(element("text", { x: x + width - 9, y: top + 13, class: "what number" }, "+ …"))
  return group
}

function numbers(node, top, what, lines) {
  const right = node.x + node.width - 10 - (what === "grad" && node.missing ? 20 : 0)
  const made = [element("text", { x: node.x + 10, y: top + 13, class: "what" }, what)]
  lines.forEach((cells, row) =>
    cells.forEach((text, column) => {
      const x = right - (cells.length - 1 - column) * node.column
      const kind = text === "?" ? "number unknown" : "number"
      made.push(element("text", { x, y: top + 13 + LINE * row, class: kind }, text))
    }),
  )
  return made
}

/** Scrolls as far as it takes to see where the pass is. */
function reveal(scroll, scene) {
  const node = scene.nodes.find((candidate) => candidate.current)
  if (!node || scroll.scrollWidth <= scroll.clientWidth) return
  const scale = scroll.scrollWidth / scene.width
  const [left, right] = [(node.x - 140) * scale, (node.x + node.width + 40) * scale]
  let to = scroll.scrollLeft
  if (right > to + scroll.clientWidth) to = right - scroll.clientWidth
  if (left < to) to = left
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches
  scroll.scrollTo({ left: to, behavior: calm ? "auto" : "smooth" })
}
