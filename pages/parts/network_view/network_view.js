// The view itself: it keeps its elements from frame to frame and tells Python what the user did.
// STYLE (network_view.css) and `follow` are put in front of the code by Python.

import { ValueEditor, take } from "./editor.js"
import { headers, unitButtons } from "./elements.js"
import { BUTTONS_FROM, MARK_FROM, PICTURE, TOP, decode, layout, linkAt, threshold } from "./frame.js"
import { makeTheme, paint } from "./paint.js"
import { extent, formula, inputName, number, pretty, unitName } from "./words.js"

const RESEND_MS = 3000
const HINT = "Click a unit to see it large; double-click a link or a unit to type a value."

class NetworkView {
  constructor(shadow) {
    this.root = document.createElement("div")
    this.root.className = "network"
    this.root.setAttribute("role", "group")
    this.root.setAttribute("aria-label", "Network")
    this.root.innerHTML = `<style>${STYLE}</style>
      <div class="scroll"><div class="stage">
        <canvas aria-hidden="true"></canvas>
        <div class="controls"></div>
        <div class="tip" id="tip" role="tooltip" hidden></div>
        <form class="editor" hidden><label><span></span><input inputmode="decimal"></label>
          <output aria-live="assertive"></output></form>
      </div></div>
      <div class="foot"><span class="note"></span><span class="actions" hidden></span>
        <span class="legend" aria-hidden="true">negative<i></i>positive</span></div>`
    shadow.append(this.root)
    const find = (name) => this.root.querySelector(name)
    Object.assign(this, {
      scroll: find(".scroll"),
      stage: find(".stage"),
      canvas: find("canvas"),
      controls: find(".controls"),
      tip: find(".tip"),
      note: find(".note"),
      actions: find(".actions"),
      style: getComputedStyle(this.root),
      elements: new Map(),
      mount: Math.random().toString(36).slice(2),
      sent: 0,
      outbox: [],
      tabStop: { column: 0, unit: 0 },
      namedAt: 0,
    })
    this.context = this.canvas.getContext("2d")
    this.editor = new ValueEditor(find(".editor"), this)
    this.resizing = new ResizeObserver(() => this.schedule())
    this.resizing.observe(this.scroll)
    this.listen()
  }

  // ---- frames ---------------------------------------------------------------------------------

  update(component) {
    this.component = component
    this.leave = follow(component.data.follow, (bytes) => {
      this.next = decode(bytes)
      this.draw()
    })
  }

  /** Draw the frame again at the next repaint, for the pointer or another size. */
  schedule() {
    if (this.waiting) return
    this.waiting = true
    requestAnimationFrame(() => {
      this.waiting = false
      this.draw()
    })
  }

  draw() {
    const width = this.scroll.clientWidth
    if (!this.next || !width) return
    const frame = (this.frame = this.next) // everything shown is of this one frame
    const shape = JSON.stringify([
      width, frame.height, frame.features, frame.active, frame.layers, frame.activations,
      frame.editable, frame.selected, [...frame.silenced],
    ])
    if (shape !== this.shape) {
      this.shape = shape
      this.place = layout(frame, width)
      this.arrange()
    }
    const limits = frame.layers.map((_, layer) => threshold(frame, layer))
    this.least = limits.map((limit) => limit.least)
    this.describe(limits)
    this.applyTheme()
    this.sizeCanvas()
    if (this.hover && !this.exists(this.hover)) this.setHover(null)
    if (this.editor.target && !this.exists(this.editor.target)) this.editor.close()
    paint(this.context, this.ratio, this)
    this.showTip()
    this.nameUnits()
    this.root.dataset.epoch = frame.epoch
  }

  sizeCanvas() {
    const ratio = Math.min(devicePixelRatio || 1, 3)
    const [width, height] = [this.place.width * ratio, this.frame.height * ratio].map(Math.round)
    if (this.canvas.width === width && this.canvas.height === height && ratio === this.ratio) return
    this.ratio = ratio
    Object.assign(this.canvas, { width, height })
    this.canvas.style.width = `${this.place.width}px`
    this.canvas.style.height = `${this.frame.height}px`
  }

  applyTheme() {
    const { style } = this
    const key = style.getPropertyValue("--st-background-color") + style.color
    if (key === this.themeKey) return
    this.themeKey = key
    this.theme = makeTheme(style)
    const { dark, negative, neutral, positive } = this.theme
    this.root.style.colorScheme = dark ? "dark" : "light"
    this.root.style.setProperty("--negative", negative)
    this.root.style.setProperty("--neutral", neutral)
    this.root.style.setProperty("--positive", positive)
  }

  exists({ kind, layer, column, unit, input }) {
    if (kind === "unit") return unit < (this.frame.units[column] ?? 0)
    return unit < (this.frame.units[layer + 1] ?? 0) && !(input >= this.frame.inputs[layer])
  }

  // ---- elements over the canvas ---------------------------------------------------------------

  /** Create, move and remove elements so that each stays itself while it is wanted. */
  arrange() {
    const wanted = [...headers(this.frame, this.place), ...unitButtons(this.frame, this.place)]
    const keys = new Set(wanted.map((item) => item.key))
    for (const [key, element] of this.elements) {
      if (keys.has(key)) continue
      element.remove()
      this.elements.delete(key)
    }
    let next = this.controls.firstChild
    for (const item of wanted) {
      const tag = item.tag ?? "button"
      let element = this.elements.get(item.key)
      if (element && element.localName !== tag) {
        if (element === next) next = next.nextSibling
        element.remove()
        element = undefined
      }
      if (!element) {
        element = document.createElement(tag)
        if (element.type === "submit") element.type = "button"
        this.elements.set(item.key, element)
      }
      if (element === next) next = next.nextSibling
      else this.controls.insertBefore(element, next)
      this.dress(element, item)
    }
    this.root.style.height = `${this.frame.height}px`
    this.stage.style.width = `${this.place.width}px`
    if (!this.exists({ kind: "unit", ...this.tabStop })) this.tabStop = { column: 0, unit: 0 }
    this.moveTabStop(this.tabStop)
    this.dressActions()
  }

  dress(element, item) {
    element.className = item.className
    const { x, y, width, height, style = "" } = item
    element.style.cssText = `left:${x}px;top:${y}px;width:${width}px;height:${height}px;${style}`
    if (item.text !== undefined && element.textContent !== item.text) element.textContent = item.text
    if (item.html !== undefined && element.html !== item.html) {
      element.innerHTML = element.html = item.html
    }
    if (item.label) element.setAttribute("aria-label", item.label)
    if (item.title) element.title = item.title
    if (item.pressed !== undefined) element.setAttribute("aria-pressed", item.pressed)
    if ("disabled" in element) element.disabled = Boolean(item.disabled)
    element.event = item.event
    element.unit = item.unit
    element.layer = item.layer
    if (item.options) this.dressSelect(element, item)
  }

  dressSelect(element, { options, value }) {
    const names = options.includes(value) ? options : [value, ...options]
    if (element.names !== names.join()) {
      element.names = names.join()
      element.replaceChildren(...names.map((name) => new Option(name, name)))
    }
    if (!element.pending) element.value = value
  }

  /** Names for screen readers carry values, so they follow training, but at most once a second. */
  nameUnits() {
    const now = performance.now()
    if (this.named === this.frame || (this.frame.live && now < this.namedAt + 1000)) return
    this.named = this.frame
    this.namedAt = now
    const { frame } = this
    for (const element of this.elements.values()) {
      if (!element.unit) continue
      const { column, unit } = element.unit
      if (!column) {
        element.setAttribute("aria-label", `Input ${frame.features[unit]}`)
        continue
      }
      const layer = column - 1
      const silenced = frame.silenced.has(`${layer},${unit}`) ? ", silenced" : ""
      const name = unitName(frame, layer, unit).replace(",", "")
      const bias = number(frame.biases[layer][unit])
      const { activation } = frame.layers[layer]
      element.setAttribute("aria-label", `${name}, ${activation}, bias ${bias}${silenced}`)
    }
  }

  // ---- the line below -------------------------------------------------------------------------

  describe(limits) {
    const { frame, place } = this
    const notes = []
    if (place.columns.some((column) => column.chips)) notes.push("chips show a unit's mean value")
    else if (place.columns.some((column) => column.size < MARK_FROM)) {
      notes.push("smaller pictures, no bias marks")
    }
    const cut = limits.findIndex((limit) => limit.least >= 0)
    if (cut >= 0) {
      const most = Math.max(...frame.weights.map((weights) => weights.length))
      notes.push(`of up to ${most} links between layers the ${limits[cut].shown} strongest`)
    }
    if (frame.editable && place.pitch < BUTTONS_FROM) notes.push("no buttons on layers")
    const words = notes.length ? `Reduced detail: ${notes.join("; ")}.` : frame.editable ? HINT : ""
    if (this.note.textContent !== words) this.note.textContent = this.note.title = words
    this.root.dataset.detail = notes.length ? "reduced" : "full"
  }

  dressActions() {
    const { frame } = this
    const [layer, unit] = frame.selected ?? []
    const shown = frame.selected !== null && layer < frame.layers.length
    this.actions.hidden = !shown
    this.note.hidden = shown
    if (!shown) return
    const hidden = layer < frame.layers.length - 1
    const silenced = frame.silenced.has(`${layer},${unit}`)
    const buttons = []
    if (frame.editable && hidden) {
      const silence = { action: "silence", layer, unit, silenced: !silenced }
      buttons.push(["Silence", "S", silence, silenced])
      const remove = { action: "remove_unit", layer, unit }
      if (frame.layers[layer].units > 1) buttons.push(["Remove", "Del", remove])
    }
    buttons.push(["Deselect", "Esc", { action: "select", layer: null, unit: null }])
    const key = JSON.stringify([layer, unit, buttons])
    if (this.actions.key === key) return
    this.actions.key = key
    const name = document.createElement("b")
    name.textContent = unitName(frame, layer, unit)
    const before = this.root.querySelector(".actions button:focus")?.dataset.word
    const nodes = buttons.map(([word, shortcut, event, pressed]) => {
      const button = document.createElement("button")
      button.type = "button"
      button.dataset.word = word
      button.innerHTML = `${word} <kbd>${shortcut}</kbd>`
      button.event = event
      if (pressed !== undefined) button.setAttribute("aria-pressed", pressed)
      return button
    })
    this.actions.replaceChildren(name, ...nodes)
    nodes.find((node) => node.dataset.word === before)?.focus()
  }

  // ---- what the user does ---------------------------------------------------------------------

  /** Tell Python. Streamlit may drop a trigger when the next one comes before the script is free,
   *  so each message repeats the events of the last moments; Python takes every number once. */
  emit(event) {
    const now = performance.now()
    this.sent += 1
    this.outbox = this.outbox.filter((old) => old.at > now - RESEND_MS)
    this.outbox.push({ at: now, event: { number: this.sent, ...event } })
    this.component.setTriggerValue("event", {
      mount: this.mount,
      events: this.outbox.map((entry) => entry.event),
    })
  }

  listen() {
    const { root, stage } = this
    stage.addEventListener("pointermove", (event) => this.setHover(this.under(event)))
    stage.addEventListener("pointerleave", () => this.setHover(null))
    root.addEventListener("click", (event) => this.clicked(event))
    stage.addEventListener("dblclick", (event) => this.doubleClicked(event))
    root.addEventListener("keydown", (event) => this.pressed(event))
    root.addEventListener("change", ({ target }) => {
      if (!target.matches(".activation")) return
      target.pending = true // shown as chosen until Python has had time to agree or refuse
      setTimeout(() => {
        target.pending = false
        this.shape = ""
        this.schedule()
      }, 1000)
      const { layer } = target
      this.emit({ action: "set_activation", layer, activation: target.value })
    })
    this.controls.addEventListener("focusin", ({ target }) => {
      if (!target.unit) return
      this.moveTabStop(target.unit)
      target.setAttribute("aria-describedby", "tip")
      if (target.matches(":focus-visible")) this.setHover({ kind: "unit", ...target.unit })
    })
    this.controls.addEventListener("focusout", ({ target }) => {
      target.removeAttribute("aria-describedby")
      this.setHover(null)
    })
  }

  /** What a pointer event is on: a unit, a link, or nothing. */
  under(event) {
    const target = event.target.closest(".unit")
    if (target) return { kind: "unit", ...target.unit }
    if (!this.place || event.target.closest(".step, .activation, .editor")) return null
    const { x, y } = this.point(event)
    if (y < TOP - 4) return null
    const link = linkAt(this.frame, this.place, this.least, x, y)
    return link && { kind: "link", ...link, x, y }
  }

  point(event) {
    const box = this.stage.getBoundingClientRect()
    return { x: event.clientX - box.left, y: event.clientY - box.top }
  }

  setHover(hover) {
    if (!hover && !this.hover) return
    this.hover = hover
    this.stage.style.cursor = hover?.kind === "link" ? "pointer" : ""
    this.schedule()
  }

  clicked(event) {
    const target = event.target.closest("button")
    if (target?.event) return this.emit(target.event)
    const again = event.detail > 1 && target?.unit?.column // the second half of a double-click
    if (target?.unit) return again ? undefined : this.choose(target.unit)
    const background = event.target === this.canvas || event.target === this.controls
    if (background && this.frame.selected && !this.under(event)) this.deselect()
  }

  choose({ column, unit }) {
    const { features, selected, editable } = this.frame
    if (!column) {
      if (editable) this.emit({ action: "toggle_feature", feature: features[unit] })
      return
    }
    if (selected?.[0] === column - 1 && selected?.[1] === unit) return
    this.emit({ action: "select", layer: column - 1, unit })
  }

  deselect() {
    this.emit({ action: "select", layer: null, unit: null })
  }

  doubleClicked(event) {
    if (!this.frame.editable) return
    const target = this.under(event)
    if (target?.kind === "link") this.editor.open(target)
    else if (target?.column) this.editor.open({ layer: target.column - 1, unit: target.unit })
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.target.matches("input, select")) return
    const { frame } = this
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
    if (key === "Escape" && frame.selected) return take(event, () => this.deselect())
    const at = event.target.unit
    const moves = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }
    if (at && moves[key]) return take(event, () => this.step(at, ...moves[key]))
    const [layer, unit] = at?.column ? [at.column - 1, at.unit] : frame.selected ?? []
    if (layer === undefined || !frame.editable) return
    const hidden = layer < frame.layers.length - 1
    if (key === "s" && hidden) {
      const silenced = !frame.silenced.has(`${layer},${unit}`)
      take(event, () => this.emit({ action: "silence", layer, unit, silenced }))
    } else if (key === "Delete" && hidden && frame.layers[layer].units > 1) {
      take(event, () => this.emit({ action: "remove_unit", layer, unit }))
    } else if (key === "b") take(event, () => this.editor.open({ layer, unit }))
    else if (key === "w" && frame.inputs[layer]) {
      take(event, () => this.editor.open({ layer, unit, input: 0 }))
    }
  }

  /** Arrow keys: up and down a column, left and right to the nearest unit of the next one. */
  step({ column, unit }, across, down) {
    const columns = this.place.columns
    const to = Math.min(columns.length - 1, Math.max(0, column + across))
    const height = columns[column].y[unit]
    const nearest = columns[to].y.reduce(
      (best, y, index, all) => (Math.abs(y - height) < Math.abs(all[best] - height) ? index : best), 0)
    const next = across ? nearest : Math.min(columns[to].y.length - 1, Math.max(0, unit + down))
    this.focusUnit(to, next)
  }

  focusUnit(column, unit) {
    this.elements.get(`unit:${column}:${unit}`)?.focus()
  }

  moveTabStop(at) {
    this.tabStop = { column: at.column, unit: at.unit }
    for (const element of this.elements.values()) {
      if (element.unit)
        element.tabIndex = element.unit.column === at.column && element.unit.unit === at.unit ? 0 : -1
    }
  }

  // ---- numbers on demand ----------------------------------------------------------------------

  showTip() {
    const { hover, tip, frame, place } = this
    if (!hover || this.editor.target) {
      tip.hidden = true
      return
    }
    const words = hover.kind === "link" ? this.linkWords(hover) : this.unitWords(hover)
    if (tip.words !== words) tip.innerHTML = tip.words = words
    tip.hidden = false
    tip.style.maxWidth = `${Math.min(300, Math.max(190, place.pitch - PICTURE - 24))}px`
    const [width, height] = [tip.offsetWidth, tip.offsetHeight]
    let [x, y] = [hover.x + 14, hover.y + 14]
    if (hover.kind === "unit") {
      const column = place.columns[hover.column]
      x = column.to + 12
      y = column.y[hover.unit] - height / 2
      if (x + width > place.width) x = column.from - 12 - width
    } else if (x + width > place.width) x = hover.x - 14 - width
    tip.style.left = `${Math.max(0, x)}px`
    tip.style.top = `${Math.max(2, Math.min(y, frame.height - 34 - height))}px`
  }

  linkWords({ layer, unit, input }) {
    const { frame } = this
    const weight = frame.weights[layer][unit * frame.inputs[layer] + input]
    const to = unitName(frame, layer, unit)
    return `<b>weight ${number(weight)}</b><p>${inputName(frame, layer, input)} → ${to}</p>`
  }

  unitWords({ column, unit }) {
    const { frame } = this
    const range = `<p>${extent(frame, column, unit)}</p>`
    if (!column) {
      const name = pretty(frame.features[unit])
      const on = frame.active[unit]
      const act = frame.editable ? `; click to switch it ${on ? "off" : "on"}` : ""
      return `<b>${name}</b><p>${on ? "on" : "off"}${act}</p>${range}`
    }
    const layer = column - 1
    const silenced = frame.silenced.has(`${layer},${unit}`)
      ? "<p>silenced: the layers after it see 0</p>" : ""
    const rule = `<p class="formula">${formula(frame, layer, unit)}</p>`
    return `<b>${unitName(frame, layer, unit)}</b>${rule}${silenced}${range}`
  }
}

const views = new WeakMap()

/** Streamlit calls this for every update, and the clean-up also for updates that were overtaken. */
export default function show(component) {
  const shadow = component.parentElement
  let view = views.get(shadow)
  if (!view) views.set(shadow, (view = new NetworkView(shadow)))
  view.update(component)
  return () => {
    if (shadow.host.isConnected) return
    view.resizing.disconnect()
    view.leave()
    views.delete(shadow)
  }
}
