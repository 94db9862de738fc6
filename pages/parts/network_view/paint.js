// Everything drawn on the canvas: links below, then pictures, marks and rings.
// PALETTE is put in front of the code by Python.

import { MARK_FROM, codesOf, sourceOf, strength } from "./frame.js"

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16))
const mix = (a, b, share) => a.map((part, index) => Math.round(part + (b[index] - part) * share))

/** 256 packed colours: code 128 is neutral, 1 and 255 the two ends, 0 (not finite) see-through. */
function ramp(negative, neutral, positive) {
  const colors = new Uint32Array(256)
  for (let code = 1; code < 256; code++) {
    const value = (code - 128) / 127
    const [r, g, b] = mix(neutral, value < 0 ? negative : positive, Math.min(1, Math.abs(value)))
    colors[code] = 0xff000000 | (b << 16) | (g << 8) | r
  }
  return colors
}

/** Colours for the page's theme, taken from Streamlit's variables and the app's palette. */
export function makeTheme(style) {
  const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback
  const background = read("--st-background-color", "#ffffff")
  const [r, g, b] = background.startsWith("#") ? rgb(background) : [255, 255, 255]
  const dark = 0.299 * r + 0.587 * g + 0.114 * b < 128
  const neutral = rgb(dark ? PALETTE.neutral_dark : PALETTE.neutral_light)
  const [negative, positive] = [rgb(PALETTE.negative), rgb(PALETTE.positive)]
  return {
    dark,
    background,
    text: read("--st-text-color", dark ? "#fafafa" : "#31333f"),
    neutral: `rgb(${neutral})`,
    negative: PALETTE.negative,
    positive: PALETTE.positive,
    border: dark ? "rgba(255,255,255,.28)" : "rgba(0,0,0,.24)",
    scale: ramp(negative, neutral, positive),
    classes: PALETTE.classes.map((color) => ramp(neutral, neutral, rgb(color))),
  }
}

const sign = (theme, value) => (value < 0 ? theme.negative : theme.positive)

/** Draw one frame. `view` holds frame, place, theme, least (by layer) and hover. */
export function paint(context, ratio, view) {
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, view.place.width, view.frame.height)
  paintLinks(context, view)
  if (view.frame.dimensions === 2) fillAtlas(view)
  view.place.columns.forEach((column, index) => {
    for (let unit = 0; unit < column.y.length; unit++) paintUnit(context, view, index, unit)
  })
}

// ---- links ------------------------------------------------------------------------------------

/** The links to draw, weakest first. */
function linksOf({ frame, least }) {
  const links = []
  frame.weights.forEach((weights, layer) => {
    const width = frame.inputs[layer]
    for (let index = 0; index < weights.length; index++) {
      const weight = weights[index]
      if (Math.abs(weight) <= least[layer] || !Number.isFinite(weight)) continue
      const unit = Math.floor(index / width)
      links.push({ layer, unit, input: index - unit * width, weight, share: strength(weight) })
    }
  })
  return links.sort((a, b) => a.share - b.share)
}

/** One stroke for each link (much quicker than long paths); what the pointer is on comes last. */
function paintLinks(context, view) {
  const { frame, place, theme, hover } = view
  const links = linksOf(view)
  const thickest = Math.min(5.5, ...place.columns.map((column) => 1.5 + 0.14 * column.size))
  const crowd = Math.min(1, Math.sqrt(600 / links.length))
  const touched = links.filter((link) => touches(frame, hover, link))
  const others = !touched.length ? 1 : hover.kind === "unit" ? 0.35 : 0.65
  const stroke = (link, share, alpha) => {
    const from = place.columns[link.layer]
    const to = place.columns[link.layer + 1]
    const middle = (from.to + to.from) / 2
    const [y0, y1] = [from.y[sourceOf(frame, link.layer, link.input)], to.y[link.unit]]
    const silent = link.layer && frame.silenced.has(`${link.layer - 1},${link.input}`)
    context.beginPath()
    context.moveTo(from.to, y0)
    context.bezierCurveTo(middle, y0, middle, y1, to.from, y1)
    context.setLineDash(silent ? [2, 4] : [])
    context.lineWidth = silent ? 0.6 : 0.6 + (thickest - 0.6) * share
    context.strokeStyle = silent ? theme.text : sign(theme, link.weight)
    context.globalAlpha = silent ? 0.25 : alpha
    context.stroke()
  }
  for (const link of links) stroke(link, link.share, (0.2 + 0.75 * link.share) * crowd * others)
  for (const link of touched) stroke(link, Math.min(1, link.share + 0.15), 1)
  context.setLineDash([])
  context.globalAlpha = 1
}

/** Whether a link belongs to what the pointer (or the keyboard) is on. */
function touches(frame, hover, { layer, unit, input }) {
  if (!hover) return false
  if (hover.kind === "link")
    return hover.layer === layer && hover.unit === unit && hover.input === input
  if (hover.column === layer + 1) return hover.unit === unit
  return hover.column === layer && hover.unit === sourceOf(frame, layer, input)
}

// ---- units ------------------------------------------------------------------------------------

/** All pictures of a frame under each other in one small canvas, to be scaled into place. */
function fillAtlas(view) {
  const { frame, place, theme } = view
  const side = frame.resolution
  const count = frame.first.at(-1)
  const atlas = (view.atlas ??= document.createElement("canvas"))
  if (atlas.width !== side || atlas.height !== side * count || !view.image) {
    atlas.width = side
    atlas.height = side * count
    view.image = atlas.getContext("2d").createImageData(side, side * count)
  }
  const pixels = new Uint32Array(view.image.data.buffer)
  place.columns.forEach(({ chips }, column) => {
    if (chips) return
    for (let unit = 0; unit < frame.units[column]; unit++) {
      const colors = scaleOf(frame, theme, column, unit)
      const codes = codesOf(frame, column, unit)
      let at = (frame.first[column] + unit) * side * side
      for (let row = side - 1; row >= 0; row--) { // row 0 is the lowest x2
        for (let code = row * side; code < (row + 1) * side; code++) pixels[at++] = colors[codes[code]]
      }
    }
  })
  atlas.getContext("2d").putImageData(view.image, 0, 0)
}

/** Softmax outputs run from neutral to the colour of their class; all else is diverging. */
function scaleOf(frame, theme, column, unit) {
  const classes = column === frame.layers.length && frame.layers.at(-1).activation === "softmax"
  return classes ? theme.classes[unit % theme.classes.length] : theme.scale
}

function paintUnit(context, view, index, unit) {
  const { frame, place, theme } = view
  const { size, breadth, from, y, chips } = place.columns[index]
  const left = Math.round(from)
  const top = Math.round(y[unit] - size / 2)
  const off = index === 0 ? !frame.active[unit] : frame.silenced.has(`${index - 1},${unit}`)
  const box = new Path2D()
  box.roundRect(left, top, breadth, size, chips ? 1 : Math.min(4, size / 6))

  context.fillStyle = chips ? chipColor(frame, theme, index, unit) : theme.neutral
  if (off) context.fillStyle = theme.background
  context.fill(box)
  if (!chips) {
    if (off) context.globalAlpha = 0.3
    context.save()
    context.clip(box)
    if (frame.dimensions === 2) {
      const side = frame.resolution
      const picture = frame.first[index] + unit
      context.drawImage(view.atlas, 0, picture * side, side, side, left, top, size, size)
    } else paintCurve(context, theme, codesOf(frame, index, unit), left, top, size)
    context.restore()
    context.globalAlpha = 1
    context.lineWidth = 1
    context.strokeStyle = theme.border
    context.setLineDash(off ? [2, 2] : [])
    context.stroke(box)
    context.setLineDash([])
  }
  context.globalAlpha = 1
  if (off && index > 0) strike(context, theme, left, top, breadth, size)
  if (index > 0 && size >= MARK_FROM)
    paintBias(context, theme, frame.biases[index - 1][unit], left, top + size, size)
  if (frame.selected && frame.selected[0] === index - 1 && frame.selected[1] === unit)
    ring(context, theme, left, top, breadth, size)
}

function chipColor(frame, theme, column, unit) {
  const codes = codesOf(frame, column, unit)
  const mean = codes.reduce((sum, code) => sum + code, 0) / codes.length
  const color = scaleOf(frame, theme, column, unit)[Math.round(mean)]
  return `rgb(${color & 255},${(color >> 8) & 255},${(color >> 16) & 255})`
}

/** A unit of one input: its curve, filled down (or up) to zero in the colour of its sign. */
function paintCurve(context, theme, codes, left, top, size) {
  const count = codes.length
  const zero = top + size / 2
  const curve = new Path2D()
  const area = new Path2D()
  area.moveTo(left, zero)
  for (let at = 0; at < count; at++) {
    const code = codes[at] || 128
    const x = left + (size * at) / (count - 1)
    const y = zero - ((code - 128) / 127) * 0.44 * size
    if (at) curve.lineTo(x, y)
    else curve.moveTo(x, y)
    area.lineTo(x, y)
  }
  area.lineTo(left + size, zero)
  area.closePath()
  for (const [color, from] of [[theme.positive, top], [theme.negative, zero]]) {
    context.save()
    context.beginPath()
    context.rect(left, from, size, size / 2)
    context.clip()
    context.fillStyle = color
    context.fill(area)
    context.restore()
  }
  context.lineWidth = 1
  context.strokeStyle = theme.text
  context.stroke(curve)
}

function paintBias(context, theme, bias, left, bottom, size) {
  const radius = (0.5 + 0.5 * strength(bias)) * Math.min(4.5, size / 8 + 1)
  context.beginPath()
  context.arc(left, bottom, radius, 0, 2 * Math.PI)
  context.fillStyle = sign(theme, bias)
  context.fill()
  context.lineWidth = 1.25
  context.strokeStyle = theme.background
  context.stroke()
}

function strike(context, theme, left, top, breadth, size) {
  context.beginPath()
  context.moveTo(left, top + size)
  context.lineTo(left + breadth, top)
  context.lineWidth = Math.max(1, size / 24)
  context.strokeStyle = theme.text
  context.stroke()
}

function ring(context, theme, left, top, breadth, size) {
  const gap = size > 16 ? 3 : 2
  context.beginPath()
  context.roundRect(left - gap, top - gap, breadth + 2 * gap, size + 2 * gap, 5)
  context.lineWidth = 2
  context.strokeStyle = theme.text
  context.stroke()
}
