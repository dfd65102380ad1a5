/** Says what a file is that was to be an ONNX model, of its first bytes and its size. Pure. */

/** How many bytes of a file's beginning are enough. */
export const HEAD_BYTES = 64 * 1024

interface Kind {
  /** True for the beginning of such a file: as bytes, and as text of one character a byte. */
  readonly is: (head: Uint8Array, text: string) => boolean
  /** What it is, and what to do. */
  readonly say: string
}

const EXPORT_TORCH = 'export the model with torch.onnx.export(…, dynamo=True)'
const EXPORT_TENSORFLOW = 'convert it with tf2onnx'
const EXPORT_TREES = 'convert the model with onnxmltools'
const DOWNLOAD =
  'download the file itself (on Hugging Face and GitHub: /resolve/ or /raw/ in place of /blob/, and with a token where it asks for one)'

/** True for what begins with that, and has the pattern somewhere behind. */
const begins =
  (magic: string, behind = /(?:)/) =>
  (_: Uint8Array, text: string) =>
    text.startsWith(magic) && behind.test(text)
const beginsWithOneOf =
  (...magics: readonly string[]) =>
  (_: Uint8Array, text: string) =>
    magics.some((magic) => text.startsWith(magic))
/** A Python pickle of protocol 2 or newer. */
const isPickleWith =
  (behind = /(?:)/) =>
  (head: Uint8Array, text: string) =>
    head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5 && behind.test(text)
const matches = (pattern: RegExp) => (_: Uint8Array, text: string) => pattern.test(text)
const hasAt = (offset: number, magic: string) => (_: Uint8Array, text: string) => text.startsWith(magic, offset)

const ZIP = 'PK\x03\x04'

/** More special ones first. */
const KINDS: readonly Kind[] = [
  {
    is: begins('version https://git-lfs.github.com/spec/'),
    say: 'it is a Git LFS pointer, which stands for the model; fetch the model itself with git lfs pull',
  },
  {
    is: matches(/^\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body)\b/is),
    say: `it is an HTML page, such as one that asks to sign in; ${DOWNLOAD}`,
  },
  {
    is: matches(/^\s*<\?xml.*?<net\b/s),
    say: 'it is a model of OpenVINO, whose weights are in a .bin file; take the ONNX model that it was made from',
  },
  { is: matches(/^\s*(?:<\?xml.*?)?<PMML\b/s), say: 'it is a PMML model; convert the model that it was made from to ONNX' },
  {
    is: matches(/^\s*<\?xml\b|^\s*<Error>/),
    say: `it is an XML text, such as the answer of a store to a failed download; ${DOWNLOAD}`,
  },
  {
    is: isOrtFormat,
    say: 'it is a model in ORT format; name it model.ort, with default_model_filename: "model.ort" in config.pbtxt, or put the .onnx file that it was made from here',
  },
  { is: hasAt(4, 'TFL3'), say: `it is a TensorFlow Lite model; ${EXPORT_TENSORFLOW} (--tflite)` },
  {
    is: begins('GGUF'),
    say: 'it is a GGUF file, of llama.cpp, which ONNX Runtime does not read; export the model that it was made from to ONNX',
  },
  {
    is: beginsWithOneOf('lmgg', 'fmgg', 'tjgg', 'algg'),
    say: 'it is a GGML file, which ONNX Runtime does not read; export the model that it was made from to ONNX',
  },
  {
    is: isSafetensors,
    say: 'it holds only weights (safetensors), without a model; export the model with optimum-cli export onnx, or torch.onnx.export',
  },
  { is: isPickleWith(/^.{2,8}\xfc\x9c\x46\xf9/s), say: `it is a PyTorch checkpoint; ${EXPORT_TORCH}` },
  { is: isTorchZip, say: `it is a PyTorch checkpoint; ${EXPORT_TORCH}` },
  { is: begins(ZIP, /\.npy/), say: 'it is a NumPy archive (.npz), which has no model; export the model to ONNX' },
  {
    is: begins(ZIP, /metadata\.json|model\.weights\.h5/),
    say: `it is a Keras model; ${EXPORT_TENSORFLOW}, or with model.export(…, format="onnx")`,
  },
  { is: begins(ZIP, /\.onnx/), say: 'it is a zip archive with an ONNX model in it; unpack it' },
  { is: beginsWithOneOf(ZIP, 'PK\x05\x06'), say: 'it is a zip archive; unpack it and put its .onnx file here' },
  { is: begins('\x1f\x8b'), say: 'it is compressed with gzip; unpack it with gunzip (with tar xzf where it is an archive)' },
  { is: begins('BZh'), say: 'it is compressed with bzip2; unpack it' },
  { is: begins('\xfd7zXZ\0'), say: 'it is compressed with xz; unpack it' },
  { is: begins('\x28\xb5\x2f\xfd'), say: 'it is compressed with Zstandard; unpack it' },
  { is: begins("7z\xbc\xaf'\x1c"), say: 'it is a 7z archive; unpack it' },
  { is: hasAt(257, 'ustar'), say: 'it is a tar archive; unpack it' },
  {
    is: begins('\x89HDF\r\n\x1a\n'),
    say: `it is an HDF5 file, as Keras writes models; ${EXPORT_TENSORFLOW}, or with model.export(…, format="onnx")`,
  },
  { is: begins('\x93NUMPY'), say: 'it is a NumPy array, which has no model; export the model to ONNX' },
  { is: beginsWithOneOf('ptrt', 'ftrt'), say: 'it is a TensorRT engine; put the ONNX model that it was built from here' },
  { is: begins('CBM1'), say: 'it is a CatBoost model; save it with save_model(…, format="onnx")' },
  { is: matches(/^tree\r?\nversion=/), say: `it is a LightGBM model; ${EXPORT_TREES}` },
  { is: matches(/^\{\s*"learner"|^\{L.{0,16}learner/s), say: `it is an XGBoost model; ${EXPORT_TREES}` },
  {
    is: isPickleWith(/sklearn|numpy|joblib/),
    say: 'it is a Python pickle, as scikit-learn models are saved; convert the model with skl2onnx',
  },
  {
    is: isPickleWith(),
    say: 'it is a Python pickle; convert the model that it holds to ONNX (scikit-learn: skl2onnx, PyTorch: torch.onnx.export)',
  },
  {
    is: beginsWithOneOf('x\x01', 'x\x5e', 'x\x9c', 'x\xda'),
    say: 'it is compressed with zlib, as joblib saves models of scikit-learn; convert the model with skl2onnx',
  },
  {
    is: begins('\x08\x01\x12', /tensorflow|serving_default|saver_def|VarHandleOp|Placeholder/),
    say: `it is a TensorFlow SavedModel; ${EXPORT_TENSORFLOW} (--saved-model)`,
  },
  { is: matches(/^%PDF-/), say: 'it is a PDF document; put the ONNX model here' },
  { is: beginsWithOneOf('\x89PNG\r', '\xff\xd8\xff', 'GIF8'), say: 'it is an image; put the ONNX model here' },
  { is: beginsWithOneOf('\x7fELF', 'MZ\x90'), say: 'it is a program or a library; put the ONNX model here' },
  {
    is: matches(/^\s*(?:ir_version\s*:|producer_name\s*:|<\s*ir_version)|^\s*\{\s*"(?:irVersion|ir_version)"/),
    say: 'it is an ONNX model as text; convert it with onnx.load and onnx.save',
  },
  {
    is: matches(/^(?:\.{0,2}\/)?[\w.-]+(?:\/[\w.-]+)+\s*$/),
    say: 'it is a text file with the path of another file, as Git writes a link where links are off; put the file itself here',
  },
  { is: matches(/^\s*\{\s*"/), say: `it is a JSON text, such as the answer of a server to a failed download; ${DOWNLOAD}` },
  { is: isText, say: `it is a text file, such as the answer of a server to a failed download; ${DOWNLOAD}` },
  {
    is: begins('\n', /^.{2,80}?(?:Placeholder|Const|VarHandleOp|NoOp)/s),
    say: `it is a TensorFlow graph; ${EXPORT_TENSORFLOW} (--graphdef)`,
  },
  { is: isZeros, say: 'it begins with only zeros: a copy or a download was interrupted; copy it again' },
]

/** What a file is by its beginning, and what to do; undefined for what may be an ONNX model. */
export function fileKind(head: Uint8Array): string | undefined {
  if (head.length === 0) return 'it is empty; copy it again'
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1')
  return KINDS.find(({ is }) => is(head, text))?.say
}

/** True for the beginning of a model in ORT format. */
export function isOrtFormat(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(4, 8)).toString('latin1') === 'ORTM'
}

/** Eight bytes with the length of a JSON text, and that text. */
function isSafetensors(head: Uint8Array, text: string): boolean {
  if (head.length < 10 || text[8] !== '{') return false
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true)
  return length > 1n && length < 2n ** 32n && /^\{\s*"/.test(text.slice(8, 64))
}

function isTorchZip(_: Uint8Array, text: string): boolean {
  return (
    text.startsWith('PK\x03\x04') && /^.{26,200}?\/(?:data\.pkl|constants\.pkl|\.format_version|byteorder|version)/s.test(text)
  )
}

/** Tabs, ends of lines and of pages, and what begins a colour. */
const WHITE = [9, 10, 11, 12, 13, 27]

/** Printable characters and ends of lines, of UTF-8 or of UTF-16 with its mark. */
function isText(head: Uint8Array, text: string): boolean {
  if (text.startsWith('\xff\xfe') || text.startsWith('\xfe\xff')) return true
  if (head.some((byte) => byte === 0x7f || (byte < 0x20 && !WHITE.includes(byte)))) return false
  // A character may be cut at the end of the head.
  return !Buffer.from(head).toString('utf8').slice(0, -1).includes('\ufffd')
}

function isZeros(head: Uint8Array): boolean {
  return head.length >= 16 && head.every((byte) => byte === 0)
}

/** Numbers of the fields of a whole model: `ModelProto` of onnx.proto. */
const MODEL_FIELDS = new Set([1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26])

/** Gives bytes of the file from an offset: as many as are asked for, fewer at its end. */
export type ReadAt = (offset: number, length: number) => Uint8Array

/** The longest tag with its length. */
const FIELD_HEAD_MAX = 20
/** Fields of a model that are walked through: names, values of its metadata, and functions. */
const FIELDS_MAX = 10_000

/** Says of a file that begins as an ONNX model where it is cut off; undefined where it is not, as far as its outermost fields say. */
export function cutOff(size: number, readAt: ReadAt): string | undefined {
  let at = 0
  for (let count = 0; at < size && count < FIELDS_MAX; count += 1) {
    const head = readAt(at, FIELD_HEAD_MAX)
    const tag = varintIn(head, 0)
    if (tag === undefined) return tooShort(size, at + head.length + 1)
    if (!MODEL_FIELDS.has(Math.floor(tag.value / 8))) return undefined
    const kind = tag.value % 8
    if (kind !== 0 && kind !== 2) return undefined
    const value = varintIn(head, tag.length)
    if (value === undefined) return tooShort(size, at + head.length + 1)
    at += tag.length + value.length + (kind === 2 ? value.value : 0)
  }
  return at > size ? tooShort(size, at) : undefined
}

function tooShort(size: number, needed: number): string {
  return `it is cut off: it has ${size} bytes, and ${needed} are needed at least; copy it again`
}

function varintIn(bytes: Uint8Array, start: number): { readonly value: number; readonly length: number } | undefined {
  let value = 0
  for (let at = start, factor = 1; at < bytes.length && at < start + 10; at += 1, factor *= 128) {
    const byte = bytes[at] ?? 0
    value += (byte % 128) * factor
    if (byte < 128) return { value, length: at + 1 - start }
  }
  return undefined
}
