import type { TensorSpec } from '../../tensor/tensor.ts'
import type { ImageInput, ImageStep, ResizeFilter } from '../task.ts'
import { byDefault, type Candidate, type GraphFacts, listed, type Sources, said } from './facts.ts'
import type { JsonValue } from './folder-files.ts'
import { METADATA, type Ultralytics } from './metadata.ts'
import { SIDE_MAX, type TaskTables } from './task-tables.ts'

/** Pillow's numbers of its filters. */
const RESAMPLES: readonly ResizeFilter[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming']
/** ConvNext resizes to more than it crops under this size. */
const CONVNEXT_WARP_FROM = 384
const CONVNEXT_CROP = 224 / 256
const DATATYPES: ReadonlySet<string> = new Set(['FP32', 'FP16', 'UINT8'])
const BYTE = 1 / 255
/** Switches of steps that are not computed here. */
const OTHER_STEPS = [
  'keep_aspect_ratio',
  'do_thumbnail',
  'do_align_long_axis',
  'do_crop_margin',
  'do_image_splitting',
  'crop_to_patches',
  'do_color_quantize',
]

interface Size {
  readonly height: number
  readonly width: number
}

/** What says how pictures become the tensor of a model. */
export interface ImageFiles {
  /** preprocessor_config.json. */
  readonly processor: JsonValue | undefined
  readonly tables: TaskTables
  /** What the model's own file says, where it is one of ultralytics. */
  readonly yolo?: Ultralytics | undefined
}

/** The numbers by which a channel of a picture is scaled. */
type Values = Pick<ImageInput, 'scale' | 'mean' | 'std'>

/**
 * How pictures become the tensor of a model with this graph.
 * @throws Error where the graph takes something else, or the files name what is not computed here
 */
export function imageInputOf(
  files: ImageFiles,
  { graph, sources }: { readonly graph: GraphFacts; readonly sources: Sources },
): ImageInput {
  const image = files.tables.image ?? {}
  const spec = inputOf(graph.inputs, image.input, sources)
  const layout = layoutOf(spec, image.layout, sources)
  const [, a = -1, b = -1, c = -1] = spec.shape
  const [planes, height, width] = layout === 'NCHW' ? [a, b, c] : [c, a, b]
  const channels = channelsOf(files, planes, sources)
  const count = channels === 'grey' ? 1 : 3
  if (planes !== -1 && planes !== count)
    throw new Error(`the input ${listed([spec])} has ${planes} channels, and ${channels} pictures have ${count}`)
  const fixed = height > 0 && width > 0 ? { height, width } : undefined
  const steps = stepsOf(files, fixed, sources)
  checkSize(steps, fixed, spec)
  // The cast: inputOf takes these only.
  const datatype = spec.datatype as ImageInput['datatype']
  return { input: spec.name, layout, datatype, channels, steps, ...valuesOf(files, { count, datatype, sources }) }
}

function inputOf(inputs: readonly TensorSpec[], named: string | undefined, sources: Sources): TensorSpec {
  const found =
    named === undefined
      ? (inputs.find(({ name }) => name === 'pixel_values') ?? (inputs.length === 1 ? inputs[0] : undefined))
      : inputs.find(({ name }) => name === named)
  if (found === undefined)
    throw new Error(`which of its inputs ${listed(inputs)} is the picture must be said: [image] input in model.toml`)
  if (found.shape.length !== 4 || !DATATYPES.has(found.datatype))
    throw new Error(`the input ${listed([found])} of pictures must be FP32, FP16 or UINT8 of four dimensions`)
  const other = inputs.find(({ name }) => name !== found.name)
  if (other !== undefined)
    throw new Error(
      `the model also needs the input ${listed([other])}, which pictures do not give; task = "tensors" in model.toml serves its tensors`,
    )
  return sources.from(named === undefined ? 'the graph' : 'model.toml image.input', 'image.input', found)
}

function layoutOf({ shape }: TensorSpec, own: ImageInput['layout'] | undefined, sources: Sources): ImageInput['layout'] {
  const isPlanes = (size: number | undefined) => size === 3 || size === 1
  const guessed = isPlanes(shape[3]) && !isPlanes(shape[1]) ? ('NHWC' as const) : ('NCHW' as const)
  const isSeen = isPlanes(shape[1]) !== isPlanes(shape[3])
  return (
    sources.first<ImageInput['layout']>(
      'image.layout',
      said('image.layout', own),
      isSeen ? { value: guessed, place: 'the graph' } : byDefault(guessed),
    ) ?? guessed
  )
}

function channelsOf({ processor, tables }: ImageFiles, planes: number, sources: Sources): ImageInput['channels'] {
  const flips = processor?.get('do_flip_channel_order')
  return (
    sources.first<ImageInput['channels']>(
      'image.channels',
      said('image.channels', tables.image?.channels),
      planes === 1 ? { value: 'grey' as const, place: 'the graph' } : undefined,
      flips && { value: flips.flag() ? ('BGR' as const) : ('RGB' as const), place: flips.place },
      byDefault('RGB' as const),
    ) ?? 'RGB'
  )
}

function stepsOf(files: ImageFiles, fixed: Size | undefined, sources: Sources): readonly ImageStep[] {
  const { processor, tables, yolo } = files
  const image = tables.image ?? {}
  const isNamed = image.resize !== undefined || image.size !== undefined || image.crop !== undefined
  const steps = isNamed ? { value: namedSteps(image, fixed), place: 'model.toml image' } : undefined
  const processed = processor && !isNamed ? { value: processorSteps(processor, tables), place: processor.file } : undefined
  return (
    sources.first<readonly ImageStep[]>(
      'image.steps',
      steps,
      processed,
      yolo && ultralyticsSteps(yolo, fixed ?? yolo.size),
      warpToGraph(fixed, image.filter),
    ) ?? missingSteps()
  )
}

function missingSteps(): never {
  throw new Error(
    'nothing says which size its pictures must have: neither its graph nor preprocessor_config.json; [image] size in model.toml does',
  )
}

function warpToGraph(fixed: Size | undefined, filter: ResizeFilter = 'bilinear'): Candidate<readonly ImageStep[]> | undefined {
  return fixed && { value: [{ kind: 'warp', ...fixed, filter }], place: 'the graph, whose size pictures are warped to' }
}

/** As ultralytics prepares pictures: a grey border around those for boxes, and the middle of those for classes. */
function ultralyticsSteps({ task }: Ultralytics, fixed: Size | undefined): Candidate<readonly ImageStep[]> | undefined {
  if (fixed === undefined) return undefined
  const { width, height } = fixed
  const middle: readonly ImageStep[] = [
    { kind: 'shortest', size: Math.min(width, height), filter: 'bilinear' },
    { kind: 'crop', width, height },
  ]
  const border: readonly ImageStep[] = [{ kind: 'letterbox', width, height, filter: 'opencv-linear', fill: 114, place: 'center' }]
  return { value: task === 'classify' ? middle : border, place: `${METADATA}, as ultralytics has it` }
}

/** The steps that [image] names. */
function namedSteps(image: NonNullable<TaskTables['image']>, fixed: Size | undefined): readonly ImageStep[] {
  const { resize = 'warp', filter = 'bilinear', fill = 0, place = 'center', longest_max: longestMax } = image
  const size = image.size === undefined ? fixed : sizeOfPair(image.size)
  const crop = image.crop === undefined ? [] : [{ kind: 'crop' as const, ...sizeOfPair(image.crop) }]
  if (resize === 'none') return crop
  if (size === undefined) throw new Error('model.toml: "image.size" is missing, and the graph has no fixed size')
  if (resize === 'warp') return [{ kind: 'warp', ...size, filter }, ...crop]
  if (resize === 'letterbox') return [{ kind: 'letterbox', ...size, filter, fill, place }, ...crop]
  if (size.height !== size.width)
    throw new Error('model.toml: "image.size" must be one number where "image.resize" is "shortest"')
  return [{ kind: 'shortest', size: size.width, filter, ...(longestMax !== undefined && { longestMax }) }, ...crop]
}

function sizeOfPair(size: number | readonly [number, number]): Size {
  return typeof size === 'number' ? { height: size, width: size } : { height: size[0], width: size[1] }
}

/** The steps of a preprocessor_config.json. */
function processorSteps(processor: JsonValue, { image = {} }: TaskTables): readonly ImageStep[] {
  const type = (processor.get('image_processor_type') ?? processor.get('feature_extractor_type'))?.text() ?? ''
  const filter = image.filter ?? filterIn(processor)
  const isOn = (key: string, by: boolean) => processor.get(key)?.flag() ?? by
  rejectOtherSteps(processor)
  if (type.startsWith('ConvNext')) return convNextSteps(processor, filter)
  const size = processor.get('size')
  const isResized = isOn('do_resize', true)
  if (isResized && size === undefined) throw processor.fault('has no size; [image] in model.toml can say one')
  const resized = isResized && size !== undefined ? [resizeStep(processor, size, { type, filter })] : []
  const cropSize = processor.get('crop_size')
  const cropped =
    isOn('do_center_crop', /^CLIP|^ChineseCLIP|^MobileNet|^Levit|^EfficientFormer/.test(type) && cropSize !== undefined) &&
    cropSize !== undefined
      ? [{ kind: 'crop' as const, ...sizeIn(cropSize) }]
      : []
  const padSize = processor.get('pad_size')
  // Padding to the largest of a batch has no effect on one picture.
  const padded =
    isOn('do_pad', false) && padSize !== undefined ? [{ kind: 'pad' as const, ...sizeIn(padSize), fill: 'zero' as const }] : []
  return [...resized, ...cropped, ...padded]
}

/** @throws Error where it has a step that is not computed here: without it every answer would be another */
function rejectOtherSteps(processor: JsonValue): void {
  const isOther = OTHER_STEPS.find((key) => processor.get(key)?.flag() === true)
  const multiple = processor.get('ensure_multiple_of')?.number() ?? 1
  const other =
    isOther ?? (multiple === 1 ? undefined : 'ensure_multiple_of') ?? (processor.get('size_divisor') && 'size_divisor')
  if (other !== undefined)
    throw processor.fault(`has ${other}, which is not computed here; [image] in model.toml can say how pictures are prepared`)
}

function resizeStep(
  processor: JsonValue,
  size: JsonValue,
  { type, filter }: { readonly type: string; readonly filter: ResizeFilter },
): ImageStep {
  const side = (key: string) => size.get(key)?.whole(1, SIDE_MAX)
  if (!size.isObject) {
    const square = size.whole(1, SIDE_MAX)
    const isShortest = /^CLIP|^ChineseCLIP|^Detr|^Yolos|^MobileNet|^Levit/.test(type)
    return isShortest
      ? { kind: 'shortest', size: square, filter, ...longestIn(processor.get('max_size')) }
      : { kind: 'warp', height: square, width: square, filter }
  }
  const [height, width, shortest] = [side('height'), side('width'), side('shortest_edge')]
  if (height !== undefined && width !== undefined) return { kind: 'warp', height, width, filter }
  if (shortest === undefined)
    throw size.fault(
      'must have height and width, or shortest_edge; another way to resize is not computed here ([image] in model.toml can say one)',
    )
  // Levit resizes to more than it crops.
  const factor = type.startsWith('Levit') ? 256 / 224 : 1
  return { kind: 'shortest', size: Math.floor(shortest * factor), filter, ...longestIn(size.get('longest_edge')) }
}

function longestIn(value: JsonValue | undefined): { readonly longestMax?: number } {
  return value === undefined ? {} : { longestMax: value.whole(1, SIDE_MAX) }
}

function convNextSteps(processor: JsonValue, filter: ResizeFilter): readonly ImageStep[] {
  const size = processor.get('size')
  const edge = (size?.get('shortest_edge') ?? size)?.whole(1, SIDE_MAX)
  if (edge === undefined) throw processor.fault('has no size')
  if (edge >= CONVNEXT_WARP_FROM) return [{ kind: 'warp', height: edge, width: edge, filter }]
  const share = processor.get('crop_pct')?.number() ?? CONVNEXT_CROP
  if (!(share > 0 && share <= 1)) throw processor.fault('has a crop_pct that is not between 0 and 1')
  return [
    { kind: 'shortest', size: Math.floor(edge / share), filter },
    { kind: 'crop', height: edge, width: edge },
  ]
}

function filterIn(processor: JsonValue): ResizeFilter {
  const value = processor.get('resample')
  return value === undefined ? 'bilinear' : (RESAMPLES[value.whole(0, RESAMPLES.length - 1)] ?? 'bilinear')
}

function sizeIn(value: JsonValue): Size {
  if (!value.isObject) {
    const square = value.whole(1, SIDE_MAX)
    return { height: square, width: square }
  }
  const [height, width] = [value.get('height'), value.get('width')]
  if (height === undefined || width === undefined) throw value.fault('must have height and width')
  return { height: height.whole(1, SIDE_MAX), width: width.whole(1, SIDE_MAX) }
}

/** The scale of the values of a channel. */
function valuesOf(
  files: ImageFiles,
  { count, datatype, sources }: { readonly count: number; readonly datatype: ImageInput['datatype']; readonly sources: Sources },
): Values {
  const { processor, tables, yolo } = files
  const { scale, mean, std } = tables.image ?? {}
  const isNamed = scale !== undefined || mean !== undefined || std !== undefined
  const plain = { scale: BYTE, mean: Array<number>(count).fill(0), std: Array<number>(count).fill(1) }
  if (datatype === 'UINT8') {
    if (isNamed)
      throw new Error('model.toml: "image.scale", "image.mean" and "image.std" have no effect on a model that takes UINT8')
    return { ...plain, scale: 1 }
  }
  const named = isNamed
    ? {
        value: {
          scale: scale ?? BYTE,
          mean: channelsIn(mean ?? 0, count, 'mean'),
          std: stdIn(channelsIn(std ?? 1, count, 'std')),
        },
        place: 'model.toml image',
      }
    : undefined
  const processed = processor && { value: processorValues(processor, count), place: processor.file }
  const byYolo = yolo && { value: plain, place: `${METADATA}, as ultralytics has it` }
  const found = sources.first<Values>('image.values', named, processed, byYolo)
  if (found !== undefined) return found
  throw new Error(
    'nothing says how the values of its pictures are scaled: [image] mean and std in model.toml do (0 and 1 where it takes 0 to 1)',
  )
}

function channelsIn(value: number | readonly number[], count: number, key: string): readonly number[] {
  const list = typeof value === 'number' ? Array<number>(count).fill(value) : value
  if (list.length === count) return list
  throw new Error(`model.toml: "image.${key}" must have ${count} numbers, one for each channel`)
}

function stdIn(std: readonly number[]): readonly number[] {
  if (std.some((each) => each === 0)) throw new Error('the standard deviation of a channel of its pictures must not be 0')
  return std
}

function processorValues(processor: JsonValue, count: number): Values {
  const isOn = (key: string, by: boolean) => processor.get(key)?.flag() ?? by
  const scale = isOn('do_rescale', true) ? (processor.get('rescale_factor')?.number() ?? BYTE) : 1
  const listOf = (key: string) => {
    const value = processor.get(key)
    if (value === undefined)
      throw processor.fault(`has do_normalize without ${key}; [image] mean and std in model.toml can say it`)
    const list = value.isList ? value.items(4).map((each) => each.number()) : [value.number()]
    if (list.length !== 1 && list.length !== count)
      throw processor.fault(`has ${list.length} numbers in ${key}, and its pictures have ${count} channels`)
    return list.length === 1 ? Array<number>(count).fill(list[0] ?? 0) : list
  }
  const type = (processor.get('image_processor_type') ?? processor.get('feature_extractor_type'))?.text() ?? ''
  const isEfficientNet = type.startsWith('EfficientNet')
  if (isEfficientNet && isOn('rescale_offset', false)) throw processor.fault('has rescale_offset, which is not computed here')
  const isNormalized = isOn('do_normalize', processor.get('image_mean') !== undefined)
  const mean = isNormalized ? listOf('image_mean') : Array<number>(count).fill(0)
  const std = isNormalized ? stdIn(listOf('image_std')) : Array<number>(count).fill(1)
  // EfficientNet divides by it twice in front of its classes.
  const isTwice = isNormalized && isEfficientNet && isOn('include_top', true)
  return { scale, mean, std: isTwice ? std.map((each) => each * each) : std }
}

/** @throws Error where the steps give another size than the graph takes */
function checkSize(steps: readonly ImageStep[], fixed: Size | undefined, spec: TensorSpec): void {
  const last = steps.at(-1)
  if (fixed === undefined) return
  const given = last === undefined || last.kind === 'shortest' ? undefined : last
  if (given === undefined || given.width !== fixed.width || given.height !== fixed.height)
    throw new Error(
      `pictures get ${given === undefined ? 'no fixed size' : `${given.height}×${given.width} pixels`}, and the input ${listed([spec])} takes ${fixed.height}×${fixed.width} (height×width); [image] in model.toml can say how`,
    )
}

/** The size of the pictures that a model gets, where its steps fix it. */
export function sizeBehind({ steps }: ImageInput): Size | undefined {
  const last = steps.at(-1)
  if (last === undefined) return undefined
  return last.kind === 'shortest' ? { height: last.size, width: last.size } : { height: last.height, width: last.width }
}
