// The plane, its brushes, and what is painted. PLANE, MAX_POINTS, COLOURS and SYMBOLS come from
// Python (__init__.py), which also says what comes in and goes out.

const UNDO = 100
const MOST = MAX_POINTS.toLocaleString("en")
const REACH = 14 // pixels within which a point is taken up
const RADIUS = 4 // pixels of a point
const MODES = { brush: "Brush", erase: "Erase", move: "Move" }
const KEYS = { b: "brush", e: "erase", m: "move" }
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }

const regular = (corners, radius, inner = radius, turn = 0) =>
  Array.from({ length: corners }, (_, i) => {
    const angle = (2 * Math.PI * i) / corners + turn
    const length = i % 2 ? inner : radius
    return [length * Math.sin(angle), -length * Math.cos(angle)]
  })
const SHAPES = {
  circle: regular(24, 1),
  square: regular(4, 1.25, 1.25, Math.PI / 4),
  diamond: regular(4, 1.3),
  "triangle-up": regular(3, 1.35),
  star: regular(10, 1.45, 0.6),
  hexagon: regular(6, 1.15),
}

const painters = new WeakMap()

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".paint")
  if (!painters.has(root)) painters.set(root, new Painter(root))
  const painter = painters.get(root)
  painter.send = (message) => setStateValue("painted", message)
  painter.receive(data)
}

class Painter {
  constructor(root) {
    root.innerHTML = page()
    const find = (name) => root.querySelector(name)
    Object.assign(this, {
      root,
      canvas: find("canvas"),
      context: find("canvas").getContext("2d"),
      brushes: [...root.querySelectorAll(".brush")],
      words: find(".words"),
      style: getComputedStyle(root),
      points: [], // {x, y, k}; neither array nor points ever change, new ones take their place
      undone: [],
      done: [],
    })
    this.canvas.onpointerdown = (event) => this.down(event)
    this.canvas.onpointermove = (event) => this.moved(event)
    this.canvas.onpointerleave = () => this.show({ pointer: null })
    this.canvas.onlostpointercapture = () => this.finish()
    this.canvas.onfocus = () =>
      this.canvas.matches(":focus-visible") && this.show({ cursor: this.cursor ?? { x: 0, y: 0 } })
    this.canvas.onblur = () => (this.finish(), this.show({ cursor: null }))
    root.onkeydown = (event) => this.pressed(event)
    root.oninput = (event) => this.chose(event.target)
    root.onclick = (event) => this[event.target.closest("button")?.name]?.()
    new ResizeObserver(() => this.draw()).observe(this.canvas)
  }

  // ---- to and from Python -----------------------------------------------------------------------

  receive(bytes) {
    const view = new DataView(bytes.slice().buffer)
    const [revision, count] = [view.getUint32(0, true), view.getUint32(4, true)]
    if (revision !== this.revision) {
      if (this.revision !== undefined) this.remember(this.points)
      this.revision = revision
      this.points = Array.from({ length: count }, (_, i) => ({
        x: rounded(view.getFloat32(8 + 8 * i, true)),
        y: rounded(view.getFloat32(12 + 8 * i, true)),
        k: view.getUint8(8 + 8 * count + i),
      }))
    }
    this.show()
  }

  remember(points) {
    this.done.push(points)
    this.done = this.done.slice(-UNDO)
    this.undone = []
  }

  tell() {
    const places = this.points.flatMap(({ x, y }) => [x, y])
    const labels = this.points.map(({ k }) => k).join("")
    this.send({ revision: this.revision, places, labels })
    this.show()
  }

  // ---- what the buttons do ----------------------------------------------------------------------

  undo() {
    this.go(this.done, this.undone)
  }

  redo() {
    this.go(this.undone, this.done)
  }

  go(from, to) {
    if (!from.length || this.before) return
    to.push(this.points)
    this.points = from.pop()
    this.tell()
  }

  clear() {
    this.begin()
    this.points = []
    this.finish()
  }

  chose({ name }) {
    if (name === "class") this.choose("mode", "brush")
    this.show()
  }

  choose(name, value) {
    this.root.querySelector(`input[name=${name}][value="${value}"]`).checked = true
    this.show()
  }

  value(name) {
    return this.root.querySelector(`input[name=${name}]:is(:checked, [type=range])`).value
  }

  // ---- painting ---------------------------------------------------------------------------------

  begin() {
    this.before = this.points
  }

  /** The end of a stroke: it can be undone as one, and Python hears of it. */
  finish() {
    const { before } = this
    this.before = this.held = this.last = null
    if (!before || before === this.points) return
    this.remember(before)
    this.tell()
  }

  /** Paint, erase or carry along the way from the last place of this stroke to another one. */
  act(place) {
    const mode = this.value("mode")
    if (mode === "move") {
      if (this.held !== null) this.carry(place)
      return
    }
    const size = Number(this.value("size"))
    const spacing = mode === "brush" ? Math.max(size, 0.04) : 0.02
    if (!this.last) this.dab(mode, (this.last = place), size)
    for (;;) {
      const [dx, dy] = [place.x - this.last.x, place.y - this.last.y]
      const way = Math.hypot(dx, dy)
      if (way < spacing) break
      const part = spacing / way
      this.last = { x: this.last.x + part * dx, y: this.last.y + part * dy }
      this.dab(mode, this.last, size)
    }
  }

  dab(mode, at, size) {
    if (mode === "erase") {
      const reach = Math.max(size, 0.04)
      const kept = this.points.filter(({ x, y }) => Math.hypot(x - at.x, y - at.y) > reach)
      if (kept.length < this.points.length) this.points = kept
      return
    }
    const k = Number(this.value("class"))
    const count = size ? Number(this.value("density")) : 1
    const fresh = Array.from({ length: count }, (_, i) => {
      const [far, angle] = [i ? size * Math.sqrt(Math.random()) : 0, 2 * Math.PI * Math.random()]
      return { x: rounded(at.x + far * Math.cos(angle)), y: rounded(at.y + far * Math.sin(angle)), k }
    })
    const fitting = fresh.filter(({ x, y }) => Math.max(Math.abs(x), Math.abs(y)) <= PLANE)
    const room = MAX_POINTS - this.points.length
    if (fitting.length && room) this.points = [...this.points, ...fitting.slice(0, room)]
  }

  carry({ x, y }) {
    const edge = (value) => rounded(Math.min(PLANE, Math.max(-PLANE, value)))
    this.points = this.points.with(this.held, { ...this.points[this.held], x: edge(x), y: edge(y) })
  }

  /** The index of the point nearest to a place, or null where none is near. */
  nearest(place) {
    let [found, least] = [null, (REACH / this.scale) ** 2]
    this.points.forEach(({ x, y }, i) => {
      const distance = (x - place.x) ** 2 + (y - place.y) ** 2
      if (distance <= least) [found, least] = [i, distance]
    })
    return found
  }

  // ---- pointer and keys -------------------------------------------------------------------------

  down(event) {
    if (!event.isPrimary || event.button) return
    this.canvas.setPointerCapture(event.pointerId)
    const place = this.place(event)
    this.finish()
    this.begin()
    this.held = this.value("mode") === "move" ? this.nearest(place) : null
    this.act(place)
    this.show({ pointer: place, cursor: null })
  }

  moved(event) {
    if (!event.isPrimary) return
    const place = this.place(event)
    if (this.before && this.canvas.hasPointerCapture(event.pointerId)) this.act(place)
    this.show({ pointer: place })
  }

  place({ offsetX, offsetY }) {
    return { x: offsetX / this.scale - PLANE, y: PLANE - offsetY / this.scale }
  }

  pressed(event) {
    const { key, shiftKey } = event
    if (event.ctrlKey || event.metaKey) {
      if (key.toLowerCase() === "z") shiftKey ? this.redo() : this.undo()
      else if (key === "y") this.redo()
      else return
    } else if (key in KEYS) this.choose("mode", KEYS[key])
    else if (key in COLOURS) {
      if (!this.brushes[key].querySelector("input").disabled) this.choose("class", key)
      this.choose("mode", "brush")
    } else if (!(event.target === this.canvas && this.steered(key, shiftKey))) return
    event.preventDefault()
    event.stopPropagation()
  }

  /** Keys on the plane itself: arrows move the cross, Space paints, erases, takes up, puts down. */
  steered(key, far) {
    const cursor = this.cursor ?? { x: 0, y: 0 }
    if (key in ARROWS) {
      const [right, up] = ARROWS[key].map((way) => way * (far ? 0.2 : 0.05))
      const edge = (value) => rounded(Math.min(PLANE, Math.max(-PLANE, value)))
      this.cursor = { x: edge(cursor.x + right), y: edge(cursor.y + up) }
      if (this.held !== null && this.before) this.act(this.cursor)
      this.show()
      this.say(`x₁ ${this.cursor.x.toFixed(2)}, x₂ ${this.cursor.y.toFixed(2)}`)
      return true
    }
    if (key !== " " && key !== "Enter") return false
    const [taken, move] = [this.before, this.value("mode") === "move"]
    if (!taken) {
      this.begin()
      this.held = move ? this.nearest(cursor) : null
      this.act(cursor)
    }
    if (taken || this.held === null) this.finish()
    this.show({ cursor })
    return true
  }

  // ---- drawing ----------------------------------------------------------------------------------

  show(change = {}) {
    Object.assign(this, change)
    this.say(
      this.points.length < MAX_POINTS
        ? `${this.points.length.toLocaleString("en")} of ${MOST} points`
        : `${MOST} points, the most: erase some first`,
    )
    const used = this.points.reduce((most, { k }) => Math.max(most, k), 0)
    this.brushes.forEach((brush, k) => {
      const count = this.points.filter((point) => point.k === k).length
      brush.querySelector("b").textContent = count || ""
      brush.querySelector("input").disabled = k > used + 1 // classes are painted in order
    })
    for (const [name, off] of [
      ["undo", !this.done.length],
      ["redo", !this.undone.length],
      ["clear", !this.points.length],
    ]) {
      this.root.querySelector(`button[name=${name}]`).disabled = off
    }
    this.waiting ??= requestAnimationFrame(() => this.draw())
  }

  say(words) {
    if (this.words.textContent !== words) this.words.textContent = words
  }

  draw() {
    this.waiting = null
    const { canvas, context } = this
    const side = canvas.clientWidth
    if (!side) return
    const ratio = devicePixelRatio || 1
    this.scale = side / (2 * PLANE)
    canvas.width = canvas.height = Math.round(side * ratio)
    context.scale(ratio, ratio)
    const colour = (name) => this.style.getPropertyValue(name).trim()
    const [text, paper] = [colour("--st-text-color"), colour("--st-background-color")]
    this.drawGrid(side, text)
    COLOURS.forEach((fill, k) => {
      const shape = SHAPES[SYMBOLS[k]]
      const path = new Path2D()
      for (const point of this.points) if (point.k === k) outline(path, shape, this.at(point))
      Object.assign(context, { fillStyle: fill, strokeStyle: paper, lineWidth: 0.8 })
      context.fill(path)
      context.stroke(path)
    })
    this.drawTool(text)
  }

  at({ x, y }) {
    return [(x + PLANE) * this.scale, (PLANE - y) * this.scale]
  }

  drawGrid(side, text) {
    const { context } = this
    Object.assign(context, { strokeStyle: text, fillStyle: text, lineWidth: 1 })
    context.font = `11px ${this.style.fontFamily}`
    for (const value of [-1, -0.5, 0, 0.5, 1]) {
      const [x, y] = this.at({ x: value, y: value }).map((pixel) => Math.round(pixel) + 0.5)
      context.globalAlpha = value ? 0.08 : 0.2
      context.beginPath()
      context.moveTo(x, 0)
      context.lineTo(x, side)
      context.moveTo(0, y)
      context.lineTo(side, y)
      context.stroke()
      context.globalAlpha = 0.6
      const label = String(value).replace("-", "−")
      context.textAlign = "center"
      context.fillText(label, x, side - 5)
      context.textAlign = "left"
      context.fillText(label, 5, y + 4)
    }
    context.textAlign = "right"
    context.fillText("x₁", side - 5, side - 5)
    context.textAlign = "left"
    context.fillText("x₂", 5, 13)
    context.globalAlpha = 1
  }

  /** What the tool would touch: the brush's edge, the point to take up, the cross of the keys. */
  drawTool(text) {
    const { context } = this
    const mode = this.value("mode")
    const place = this.cursor ?? this.pointer
    this.canvas.style.cursor = mode === "move" ? "grab" : "crosshair"
    if (!place) return
    const [x, y] = this.at(place)
    Object.assign(context, { strokeStyle: text, lineWidth: 1.5 })
    const circle = (left, top, radius) => {
      context.beginPath()
      context.arc(left, top, radius, 0, 2 * Math.PI)
      context.stroke()
    }
    if (mode === "move") {
      const near = (this.before ? this.held : null) ?? this.nearest(place)
      if (near !== null) circle(...this.at(this.points[near]), RADIUS + 5)
    } else {
      const size = Math.max(Number(this.value("size")), mode === "erase" ? 0.04 : 0)
      if (mode === "brush") context.strokeStyle = COLOURS[this.value("class")]
      circle(x, y, Math.max(size * this.scale, RADIUS + 2))
    }
    if (!this.cursor) return
    context.strokeStyle = text
    context.beginPath()
    for (const [dx, dy] of Object.values(ARROWS)) {
      context.moveTo(x + 4 * dx, y + 4 * dy)
      context.lineTo(x + 12 * dx, y + 12 * dy)
    }
    context.stroke()
  }
}

const rounded = (value) => Math.round(value * 1e4) / 1e4

function outline(path, shape, [left, top]) {
  shape.forEach(([x, y], i) => {
    const place = [left + RADIUS * x, top + RADIUS * y]
    i ? path.lineTo(...place) : path.moveTo(...place)
  })
  path.closePath()
}

function page() {
  const mark = (k) =>
    `<svg viewBox="-1.6 -1.6 3.2 3.2" width="15" height="15" aria-hidden="true">
      <polygon fill="${COLOURS[k]}" points="${SHAPES[SYMBOLS[k]].join(" ")}"/></svg>`
  const choice = (name, value, inside, first) =>
    `<label class="${name === "class" ? "brush" : "mode"}">
      <input type="radio" name="${name}" value="${value}"${first ? " checked" : ""}>${inside}</label>`
  const range = (name, title, limits) =>
    `<label class="range">${title}<input type="range" name="${name}" ${limits}></label>`
  const brushes = COLOURS.map((_, k) =>
    choice("class", k, `${mark(k)}<span>Class ${k}</span><b></b>`, k === 0),
  )
  const modes = Object.entries(MODES).map(([value, title], i) =>
    choice("mode", value, title, i === 0),
  )
  return `
    <canvas tabindex="0" role="application" aria-label="Plane to paint on: arrow keys move a cross, Space paints, erases or moves there"></canvas>
    <div class="tools">
      <div class="modes" role="radiogroup" aria-label="Tool">${modes.join("")}</div>
      <div class="brushes" role="radiogroup" aria-label="Class">${brushes.join("")}</div>
      ${range("size", "Size", 'min="0" max="0.4" step="0.02" value="0.12"')}
      ${range("density", "Density", 'min="1" max="20" step="1" value="4"')}
      <div class="edits"><button name="undo">Undo</button><button name="redo">Redo</button
        ><button name="clear">Clear</button></div>
      <p class="words" role="status"></p>
      <p class="keys">Keys: <kbd>B</kbd> <kbd>E</kbd> <kbd>M</kbd> tool, <kbd>0</kbd>–<kbd>${COLOURS.length - 1}</kbd> class,
        arrows and <kbd>Space</kbd> on the plane, <kbd>Ctrl Z</kbd> undo.</p>
    </div>`
}
