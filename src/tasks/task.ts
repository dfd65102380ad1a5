/** What a model is for, in one word; `tensors` is one whose inputs are tensors and nothing else. */
export const TASKS = [
  'embedding',
  'classify',
  'rerank',
  'tokens',
  'zero-shot',
  'fill',
  'image-classify',
  'detect',
  'segment',
  'audio-classify',
  'tensors',
] as const
export type TaskName = (typeof TASKS)[number]

/** How the vectors of tokens become one; several are concatenated in this order. */
export type Pooling = 'cls' | 'max' | 'mean' | 'mean-sqrt' | 'weighted-mean' | 'last'

/** How texts become the tensors of a model. */
export interface TextInput {
  /** Path of `tokenizer.json`, and the SHA-256 of what it was when the model was loaded, in hexadecimal. */
  readonly tokenizer: { readonly path: string; readonly sha256: string }
  /** Tokens of one text, special ones included; longer ones are cut or rejected. */
  readonly tokensMax: number
  /** The side at which a text that is too long is cut. */
  readonly truncationSide: 'left' | 'right'
  readonly paddingSide: 'left' | 'right'
  readonly padId: number
  /** Names of the model's inputs; those that are absent the model does not have. */
  readonly inputs: { readonly ids: string; readonly mask?: string; readonly types?: string; readonly positions?: string }
  /** Texts that are put before an input, by name. */
  readonly prompts: Readonly<Record<string, string>>
  /** The prompt of a request that names none. */
  readonly defaultPrompt?: string
  /** Whether white space around a text is removed, as sentence-transformers does. */
  readonly isStripped: boolean
}

/** A layer of sentence-transformers outside of the ONNX file: y = activation(W·x + b), W row by row. */
export interface DenseLayer {
  readonly inputs: number
  readonly outputs: number
  /** Path of its safetensors file, and the SHA-256 of what it was when the model was loaded, in hexadecimal. */
  readonly path: string
  readonly sha256: string
  readonly activation: 'identity' | 'tanh'
}

/** How an output of the model becomes one vector for each text. */
export interface VectorOutput {
  readonly output: string
  /** `vector` is [batch, size]; `tokens` is [batch, tokens, size], and is pooled. */
  readonly form: 'vector' | 'tokens'
  readonly pooling: readonly Pooling[]
  /** False where the tokens of the prompt do not count in the pooling. */
  readonly includesPrompt: boolean
  readonly dense: readonly DenseLayer[]
  readonly isNormalized: boolean
  /** Numbers of a vector. */
  readonly dimensions: number
  readonly similarity: 'cosine' | 'dot' | 'euclidean' | 'manhattan'
}

/** How an output of the model becomes scores for labels. */
export interface ScoreOutput {
  readonly output: string
  /** Element i names class i. */
  readonly labels: readonly string[]
  readonly activation: 'softmax' | 'sigmoid' | 'none'
}

/** Those of Pillow, and OpenCV's INTER_LINEAR, which does not smooth what it shrinks. */
export type ResizeFilter = 'nearest' | 'box' | 'bilinear' | 'hamming' | 'bicubic' | 'lanczos' | 'opencv-linear'

/** A step from a picture's pixels to those that the model takes. */
export type ImageStep =
  | { readonly kind: 'warp'; readonly width: number; readonly height: number; readonly filter: ResizeFilter }
  | { readonly kind: 'shortest'; readonly size: number; readonly longestMax?: number; readonly filter: ResizeFilter }
  | {
      readonly kind: 'letterbox'
      readonly width: number
      readonly height: number
      readonly filter: ResizeFilter
      readonly fill: number
      /** `center`, or `start`: the border lies right and below, and is resized with the picture. */
      readonly place: 'center' | 'start'
    }
  | { readonly kind: 'crop'; readonly width: number; readonly height: number }
  /** Right and below. `zero` is the value 0 of the tensor, once bytes are scaled; such a step is the last. */
  | { readonly kind: 'pad'; readonly width: number; readonly height: number; readonly fill: number | 'zero' }

/** How pictures become the tensor of a model. */
export interface ImageInput {
  readonly input: string
  readonly layout: 'NCHW' | 'NHWC'
  readonly datatype: 'FP32' | 'FP16' | 'UINT8'
  readonly channels: 'RGB' | 'BGR' | 'grey'
  readonly steps: readonly ImageStep[]
  /** Each value is (byte × scale − mean) / std, by channel; UINT8 models take the byte. */
  readonly scale: number
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/** How outputs become boxes. */
export interface BoxOutput {
  /** `yolo`: [batch, 4 + classes, boxes]; `yolo-objectness`: [batch, boxes, 5 + classes]; `detr`: logits and boxes. */
  readonly form: 'yolo' | 'yolo-objectness' | 'detr'
  readonly output: string
  /** Of `detr`: the output of boxes. */
  readonly boxes?: string
  readonly labels: readonly string[]
  readonly threshold: number
  /** Overlap (intersection over union) from which the lesser of two boxes is dropped. */
  readonly overlapMax: number
  /** Whether boxes of different classes drop each other too. */
  readonly isAcrossClasses: boolean
}

/** How an output becomes a mask for each label: [batch, classes, height, width]. */
export interface MaskOutput {
  readonly output: string
  readonly labels: readonly string[]
}

/** How sound becomes the tensor of a model. */
export interface AudioInput {
  readonly input: string
  /** Samples a second; other rates are resampled. */
  readonly rate: number
  readonly secondsMax: number
  /** Whether samples are scaled to mean 0 and variance 1. */
  readonly isNormalized: boolean
}

/** What a model does beside tensors in and out: plain data, which goes between processes. */
export interface TaskDescription {
  readonly task: Exclude<TaskName, 'tensors'>
  /** Where each fact comes from, by its name (`task`, `tokensMax`, `pooling` …): a file and a key, or `default`. */
  readonly sources: Readonly<Record<string, string>>
  readonly text?: TextInput
  readonly image?: ImageInput
  readonly audio?: AudioInput
  /** Of embedding. */
  readonly vector?: VectorOutput
  /** Of classify, rerank, tokens, zero-shot, fill, image-classify, audio-classify; of zero-shot the labels are those of entailment. */
  readonly scores?: ScoreOutput
  /** Of detect. */
  readonly boxes?: BoxOutput
  /** Of segment. */
  readonly masks?: MaskOutput
  /** Where the model takes no batch of its own (dynamic quantisation, fixed first dimension): why. */
  readonly aloneReason?: string
}
