// The elements over the canvas, as plain descriptions: the view creates and moves them by `key`.
// MAX_LAYERS and MAX_UNITS are put in front of the code by Python.

import { BUTTONS_FROM } from "./frame.js"
import { pretty } from "./words.js"

/** Titles, numbers of units and activations over the columns, with what changes them. */
export function headers(frame, place) {
  const { columns, pitch } = place
  const last = columns.length - 1
  const editable = frame.editable && pitch >= BUTTONS_FROM
  const wide = pitch >= 84
  const tight = pitch < 60
  const side = tight ? 14 : pitch < 72 ? 16 : 20
  const items = []
  const text = (key, x, y, words, className, width) =>
    items.push({ key, tag: "span", className, x: x - width / 2, y, width, height: 18,
      text: String(words) })
  columns.forEach(({ x }, index) => {
    const layer = index - 1
    const width = Math.min(pitch - 6, 96)
    if (index === 0) {
      text("title:inputs", x, 2, tight ? "In" : "Inputs", "title", 60)
      const on = frame.active.filter(Boolean).length
      text("count:inputs", x, 26, `${on} of ${frame.features.length}`, "count", 60)
      return
    }
    const { units, activation } = frame.layers[layer]
    if (index === last) {
      text("title:output", x, 2, tight ? "Out" : "Output", "title", 60)
      if (units > 1) text("count:output", x, 26, units, "count", 60)
      text("activation:output", x, 51, activation, "count", Math.max(60, width))
      return
    }
    const name = `layer ${layer + 1}`
    const title = wide ? `Layer ${layer + 1}` : `L${layer + 1}`
    text(`title:${layer}`, x - (editable ? 7 : 0), 2, title, "title", wide ? 52 : 24)
    text(`count:${layer}`, x, 26, units, "count", 22)
    if (!editable) return text(`activation:${layer}`, x, 51, activation, "count", width)
    const button = (key, dx, y, text, label, event, disabled, className = "step") =>
      items.push({ key, className, x: x + dx - side / 2, y: y + (20 - side) / 2, width: side,
        height: side, text, label, title: label, event, disabled })
    button(`close:${layer}`, wide ? 28 : tight ? 8 : 13, 1, "×", `Remove ${name}`,
      { action: "remove_layer", layer }, false, "step quiet")
    button(`less:${layer}`, -(tight ? 6 : 9) - side / 2, 25, "−", `Remove a unit from ${name}`,
      { action: "remove_unit", layer, unit: null }, units <= 1)
    button(`more:${layer}`, (tight ? 6 : 9) + side / 2, 25, "+", `Add a unit to ${name}`,
      { action: "add_unit", layer }, units >= MAX_UNITS)
    items.push({
      key: `activation:${layer}`, tag: "select",
      className: tight ? "activation tight" : "activation",
      x: x - width / 2, y: 49, width, height: 21, label: `Activation of ${name}`,
      options: frame.activations, value: activation, layer,
    })
  })
  if (editable && last - 1 < MAX_LAYERS) items.push(...insertButtons(frame, place, side))
  return items
}

function insertButtons(frame, { columns }, side) {
  return columns.slice(1).map((column, at) => ({
    key: `insert:${at}`,
    className: "step insert",
    x: Math.round((columns[at].x + column.x - side) / 2),
    y: 1 + (20 - side) / 2,
    width: side,
    height: side,
    style: `--drop:${frame.height - 60}px`,
    text: "+",
    label: `Add a layer before ${at === columns.length - 2 ? "the output" : `layer ${at + 1}`}`,
    title: "Add a layer here",
    event: { action: "add_layer", at },
  }))
}

/** A transparent button over each unit, for the pointer, the keyboard and screen readers. */
export function unitButtons(frame, place) {
  return place.columns.flatMap(({ from, y, size, breadth, step }, column) =>
    y.map((middle, unit) => {
      const before = column ? 0 : place.label
      const height = Math.max(size, Math.min(step, 24))
      return {
        key: `unit:${column}:${unit}`,
        className: `unit${column ? "" : frame.active[unit] ? " feature" : " feature off"}`,
        x: from - before,
        y: middle - height / 2,
        width: breadth + before,
        height,
        style: column ? "" : `padding-right:${size + 6}px`,
        html: column ? undefined : `<span>${pretty(frame.features[unit])}</span>`,
        pressed: column
          ? frame.selected?.[0] === column - 1 && frame.selected?.[1] === unit
          : frame.active[unit],
        unit: { column, unit },
      }
    }),
  )
}
