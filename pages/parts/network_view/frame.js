// Pure functions: what a packed frame says, and where everything stands.

/** Read the bytes of one frame (their layout is told in `pack_frame`). */
export function decode(bytes) {
  const buffer = bytes.slice().buffer // a copy: the view may start at any offset
  const headerBytes = new DataView(buffer).getUint32(0, true)
  const frame = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerBytes)))
  let at = 4 + headerBytes
  const floats = (count) => {
    const view = new Float32Array(buffer, at, count)
    at += 4 * count
    return view
  }
  frame.units = [frame.features.length, ...frame.layers.map((layer) => layer.units)]
  const sum = (counts) => counts.reduce((sums, count) => [...sums, sums.at(-1) + count], [0])
  frame.first = sum(frame.units) // of each column the first picture, and its first code
  frame.firstCode = sum(frame.units.map((count, column) => count * frame.pixels[column]))
  frame.sources = frame.active.flatMap((on, index) => (on ? [index] : []))
  frame.inputs = frame.layers.map((_, layer) => (layer ? frame.units[layer] : frame.sources.length))
  frame.ranges = floats(2 * frame.first.at(-1))
  frame.weights = frame.layers.map((layer, index) => floats(layer.units * frame.inputs[index]))
  frame.biases = frame.layers.map((layer) => floats(layer.units))
  frame.codes = new Uint8Array(buffer, at)
  frame.silenced = new Set(frame.silenced.map(([layer, unit]) => `${layer},${unit}`))
  return frame
}

/** The codes of one unit's picture. */
export function codesOf(frame, column, unit) {
  const at = frame.firstCode[column] + unit * frame.pixels[column]
  return frame.codes.subarray(at, at + frame.pixels[column])
}

/** The unit that input `input` of layer `layer` comes from, counted in its own column. */
export const sourceOf = (frame, layer, input) => (layer ? input : frame.sources[input])

/** How strong a link looks, from 0 to 1, on a scale of its own: other weights do not move it. */
export const strength = (weight) => Math.tanh(Math.abs(weight) / 1.5)

// ---- layout -----------------------------------------------------------------------------------

export const PICTURE = 44 // the largest side of a unit's picture
export const TOP = 76 // titles, number of units, activations
const FOOT = 34
const MIN_PITCH = 28
export const BUTTONS_FROM = 43 // narrower columns carry no buttons

const CHIP_BELOW = 8 // smaller pictures become chips of one colour, wider than high
const CHIP_WIDTH = 16
export const MARK_FROM = 15 // smaller pictures carry no bias mark

/** Columns (x, size, y of each unit) that fit `width`, or scroll when there is no room.
 *  Links leave a column at `to` and reach it at `from`. */
export function layout(frame, width) {
  const last = frame.units.length - 1
  const letters = Math.max(...frame.features.map((name) => name.replace(/\W/g, "").length))
  const label = Math.min(84, 8 + 7 * letters)
  const room = frame.height - TOP - FOOT
  const left = Math.max(34, label + PICTURE / 2 + 2)
  const right = 40
  const pitch = Math.max(MIN_PITCH, (width - left - right) / last)
  const columns = frame.units.map((count, index) => {
    const size = Math.max(3, Math.floor(Math.min(PICTURE, 0.6 * pitch, (0.84 * room) / count)))
    const step = Math.min(room / count, size + 20)
    const x = Math.round(left + index * pitch)
    const middle = TOP + room / 2
    const y = Array.from({ length: count }, (_, unit) =>
      Math.round(middle + (unit - (count - 1) / 2) * step),
    )
    const chips = size < CHIP_BELOW || frame.pixels[index] === 1
    const breadth = chips ? Math.min(CHIP_WIDTH, Math.round(0.3 * pitch)) : size
    return { x, y, size, step, chips, breadth, from: x - breadth / 2, to: x + breadth / 2 }
  })
  return { columns, pitch, label, width: Math.ceil(Math.max(width, left + right + pitch * last)) }
}

// ---- links ------------------------------------------------------------------------------------

const LINKS_SHOWN = 320 // between two columns; beyond that only the strongest
const LINKS_IN_ALL = 1500 // shared by deep networks

/** The |weight| from which links of `layer` are drawn, and how many that are. */
export function threshold(frame, layer) {
  const weights = frame.weights[layer]
  const most = Math.min(LINKS_SHOWN, Math.ceil(LINKS_IN_ALL / frame.layers.length))
  if (weights.length <= most) return { least: -1, shown: weights.length }
  const sorted = weights.map(Math.abs).sort()
  return { least: sorted[sorted.length - most - 1], shown: most }
}

/** The link under a point, or null. Links are x-symmetric cubics, so t depends on x alone. */
export function linkAt(frame, place, least, px, py) {
  const layer = place.columns.findIndex((column) => px < column.from) - 1
  if (layer < 0) return null
  const from = place.columns[layer]
  const to = place.columns[layer + 1]
  if (px <= from.to) return null
  const share = (px - from.to) / (to.from - from.to)
  let low = 0
  let high = 1
  for (let step = 0; step < 20; step++) {
    const t = (low + high) / 2
    const x = 1.5 * t * (1 - t) ** 2 + 1.5 * t * t * (1 - t) + t ** 3
    if (x < share) low = t
    else high = t
  }
  const rise = low * low * (3 - 2 * low)
  let best = null
  let nearest = 7
  frame.weights[layer].forEach((weight, index) => {
    if (Math.abs(weight) <= least[layer]) return
    const unit = Math.floor(index / frame.inputs[layer])
    const input = index % frame.inputs[layer]
    const y0 = from.y[sourceOf(frame, layer, input)]
    const y1 = to.y[unit]
    const steep = (y1 - y0) / (to.from - from.to)
    const distance = Math.abs(y0 + (y1 - y0) * rise - py) / Math.hypot(1, steep)
    const score = distance - 1.5 * strength(weight) // between neighbours the stronger one wins
    if (score < nearest) {
      nearest = score
      best = { layer, unit, input }
    }
  })
  return best
}
