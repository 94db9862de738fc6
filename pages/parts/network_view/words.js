// Names, numbers and formulas, as people read them. Texts are HTML where they have indices.

import { codesOf } from "./frame.js"

const escapeHtml = (text) =>
  text.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign])

/** A feature's name as HTML: x1*x2 becomes x₁x₂, x1^2 becomes x₁², sin(x1) is sin πx₁. */
export const pretty = (name) =>
  escapeHtml(name)
    .replace(/\bx(\d+)\b/g, "x<sub>$1</sub>")
    .replace(/\^(\d+)/g, "<sup>$1</sup>")
    .replace(/\*/g, "")
    .replace(/\bsin\((.*?)\)/g, "sin π$1")

/** Three significant digits, a real minus sign, no noise. */
export function number(value) {
  if (!Number.isFinite(value)) return "not finite"
  const size = Math.abs(value)
  let text = "0"
  if (size >= 1e5) text = size.toExponential(2)
  else if (size >= 0.0005) text = String(Number(size >= 100 ? size.toFixed(1) : size.toPrecision(3)))
  return text !== "0" && value < 0 ? `−${text}` : text
}

const isOutput = (frame, layer) => layer === frame.layers.length - 1

/** "Layer 2, unit 3" or "Output". */
export function unitName(frame, layer, unit) {
  if (!isOutput(frame, layer)) return `Layer ${layer + 1}, unit ${unit + 1}`
  return frame.layers[layer].units > 1 ? `Output ${unit + 1}` : "Output"
}

function symbol(frame, layer, unit) {
  if (!isOutput(frame, layer)) return `h<sub>${layer + 1},${unit + 1}</sub>`
  return frame.layers[layer].units > 1 ? `ŷ<sub>${unit + 1}</sub>` : "ŷ"
}

const TERMS = 6

/** "h2,3 = relu(0.41·h1,1 − 1.2·h1,2 + … + 0.1)": the strongest terms, in the order of inputs. */
export function formula(frame, layer, unit) {
  const width = frame.inputs[layer]
  const row = Array.from(frame.weights[layer].subarray(unit * width, (unit + 1) * width))
  const strongest = new Set(
    row.map((_, input) => input).sort((a, b) => Math.abs(row[b]) - Math.abs(row[a])).slice(0, TERMS),
  )
  const terms = [...row.entries()]
    .filter(([input]) => strongest.has(input))
    .map(([input, weight]) => [weight, `·${inputName(frame, layer, input)}`])
  const parts = terms.map(([weight, name], index) => {
    const sign = weight < 0 ? (index ? " − " : "−") : index ? " + " : ""
    return `${sign}${number(Math.abs(weight))}${name}`
  })
  if (row.length > TERMS) parts.push(` + … <i>(${row.length - TERMS} more)</i>`)
  const bias = frame.biases[layer][unit]
  parts.push(`${bias < 0 ? " − " : parts.length ? " + " : ""}${number(Math.abs(bias))}`)
  const { activation, normalization } = frame.layers[layer]
  let inside = parts.join("")
  if (normalization !== "none") inside = `${escapeHtml(normalization)} norm(${inside})`
  const outside = ["linear", "identity", "none"].includes(activation)
    ? inside
    : `${escapeHtml(activation)}(${inside})`
  return `${symbol(frame, layer, unit)} = ${outside}`
}

export function inputName(frame, layer, input) {
  return layer
    ? symbol(frame, layer - 1, input)
    : pretty(frame.features[frame.sources[input]])
}

/** The smallest and largest value of a picture, as its codes remember them. */
export function extent(frame, column, unit) {
  const codes = codesOf(frame, column, unit)
  const low = codes.reduce((a, b) => Math.min(a, b))
  if (!low) return "values not finite"
  const picture = frame.first[column] + unit
  const value = (code) =>
    number(frame.ranges[2 * picture] + (frame.ranges[2 * picture + 1] * (code - 128)) / 127)
  if (codes.length === 1) return `mean value ${value(low)}`
  return `values from ${value(low)} to ${value(codes.reduce((a, b) => Math.max(a, b)))}`
}
