// The small field in which a weight or a bias is typed.
// MAX_VALUE is put in front of the code by Python.

import { TOP, sourceOf } from "./frame.js"
import { inputName, unitName } from "./words.js"

/** Handle an event here and nowhere else. */
export function take(event, action) {
  event.preventDefault()
  event.stopPropagation()
  action()
}

/** Edits the weight of `target` {layer, unit, input}, or without `input` the unit's bias. */
export class ValueEditor {
  constructor(form, view) {
    this.form = form
    this.view = view
    this.field = form.querySelector("input")
    this.why = form.querySelector("output")
    this.field.addEventListener("input", () => this.refuse(""))
    form.addEventListener("submit", (event) => take(event, () => this.commit()))
    form.addEventListener("focusout", () => this.close())
    form.addEventListener("keydown", (event) => this.pressed(event))
  }

  open(target) {
    const { form, field, view } = this
    const { frame, place } = view
    const { layer, unit, input } = target
    const isBias = input === undefined
    this.target = target
    const values = isBias ? frame.biases[layer] : frame.weights[layer]
    const value = values[isBias ? unit : unit * frame.inputs[layer] + input]
    const name = unitName(frame, layer, unit)
    const what = isBias ? "bias" : `weight of ${inputName(frame, layer, input)}`
    const label = isBias ? `Bias of ${name}` : `Weight from input ${input + 1} to ${name}`
    form.querySelector("span").innerHTML = what
    field.setAttribute("aria-label", label)
    this.refuse("")
    field.value = this.unchanged = String(Number(value.toPrecision(4)))
    form.hidden = false
    const at = this.place(target)
    const [width, height] = [form.offsetWidth, form.offsetHeight]
    form.style.left = `${Math.max(0, Math.min(at.x - width / 2, place.width - width))}px`
    form.style.top = `${Math.max(TOP, Math.min(at.y + 12, frame.height - 30 - height))}px`
    field.focus()
    field.select()
    const link = { kind: "link", ...target, ...at }
    view.setHover(isBias ? { kind: "unit", column: layer + 1, unit } : link)
  }

  /** Where the field points: at the pointer, the middle of the link, or the unit. */
  place({ layer, unit, input, x, y }) {
    if (x !== undefined) return { x, y }
    const { frame, place } = this.view
    const [from, to] = place.columns.slice(layer, layer + 2)
    if (input === undefined) return { x: to.from, y: to.y[unit] }
    const start = from.y[sourceOf(frame, layer, input)]
    return { x: (from.to + to.from) / 2, y: (start + to.y[unit]) / 2 }
  }

  /** Send the typed value and close, or stay and say why it cannot be. */
  commit() {
    const { field, target } = this
    const text = field.value.trim().replace("−", "-").replace(",", ".")
    const value = Number(text)
    if (!target) return false
    if (text === "" || Number.isNaN(value)) return this.refuse("a number, please")
    if (Math.abs(value) > MAX_VALUE) return this.refuse(`at most ±${MAX_VALUE.toLocaleString("en")}`)
    const { layer, unit, input } = target
    if (field.value !== this.unchanged) {
      this.view.emit(input === undefined
        ? { action: "set_bias", layer, unit, value }
        : { action: "set_weight", layer, unit, input, value })
    }
    this.close()
    return true
  }

  /** Say why the typed value cannot be, or with no words, that nothing is wrong. */
  refuse(words) {
    this.why.textContent = words
    if (words) this.field.setAttribute("aria-invalid", "true")
    else this.field.removeAttribute("aria-invalid")
    return false
  }

  close() {
    if (!this.target) return
    const { layer, unit } = this.target
    const typing = this.field.matches(":focus")
    this.target = null
    this.form.hidden = true
    this.view.setHover(null)
    if (typing) this.view.focusUnit(layer + 1, unit)
  }

  /** Enter sets, Escape leaves; Tab sets and goes on to the unit's next weight, then its bias. */
  pressed(event) {
    event.stopPropagation()
    if (event.key === "Escape") return take(event, () => this.close())
    if (event.key !== "Tab") return
    const { layer, unit, input } = this.target
    const bias = this.view.frame.inputs[layer] // counted as if it were one more input
    const next = ((input ?? bias) + (event.shiftKey ? bias : 1)) % (bias + 1)
    take(event, () => {
      if (this.commit()) this.open({ layer, unit, input: next === bias ? undefined : next })
    })
  }
}
