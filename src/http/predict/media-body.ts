import { VestalError } from '../../core/errors.ts'
import { decodeJson, isObject } from '../../tensor/exact-json.ts'
import type { TaskBody } from './codec.ts'

/** What a body of pictures or sound asks for: its files as bytes where they came so, and as texts where they came in JSON. */
export interface MediaQuestion {
  readonly input: unknown
  readonly parameters: unknown
}

/** Parts of a form: as many files as a request may have, its parameters, and some that are ignored. */
const PARTS_MAX = 64
/** The fields of a form whose files are the input. */
const FILE_FIELDS = ['file', 'files', 'image', 'images', 'audio', 'input', 'inputs'] as const
const FORM = /^multipart\/form-data\b/i
const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\b/i
const FILE_TYPE = /^(?:(?:image|audio)\/|application\/octet-stream\b)/i

/**
 * Reads a body of pictures or sound: a file as it is, a form with `file` and `parameters`, or JSON with `input` (or `inputs`, as Hugging
 * Face's clients send it) and `parameters`, and with fields that count for nothing. Where the media type says none of these, the first byte does.
 * @throws VestalError BODY_INVALID
 */
export function readMediaBody(
  { bytes, contentType }: Pick<TaskBody, 'bytes' | 'contentType'>,
  ignored: readonly string[] = [],
): MediaQuestion | Promise<MediaQuestion> {
  const type = contentType ?? ''
  if (FORM.test(type)) return readForm(bytes, type)
  if (FILE_TYPE.test(type) || (!JSON_TYPE.test(type) && !beginsAsJson(bytes))) return { input: bytes, parameters: undefined }
  return decodeJson(bytes, {}, (body) => {
    if (!isObject(body)) throw invalid('body', 'must be an object with "input", or a picture as it is, or a form with "file"')
    const { input, inputs, parameters, ...others } = body
    const other = Object.keys(others).find((field) => !ignored.includes(field))
    if (other !== undefined) throw invalid(other.slice(0, 64), 'is not a field of this body')
    if (input !== undefined && inputs !== undefined) throw invalid('inputs', 'must be absent beside "input"')
    if (input === undefined && inputs === undefined) throw invalid('input', 'is missing')
    return { input: input ?? inputs, parameters: parameters ?? undefined }
  })
}

/**
 * Checks that a body for texts may be JSON, whose object is like `example`: people send texts, pictures and forms as they are.
 * @throws VestalError BODY_INVALID
 */
export function checkBeginsAsJson(bytes: Uint8Array, example: string): void {
  if (!beginsAsJson(bytes)) throw invalid('body', `must be JSON, such as ${example}: the model takes texts`)
}

/** No picture and no sound begins with a brace, nor with the white space that may stand before one. */
function beginsAsJson(bytes: Uint8Array): boolean {
  const first = bytes.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)
  return first === 0x7b || first === undefined
}

async function readForm(bytes: Uint8Array, type: string): Promise<MediaQuestion> {
  const boundary = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(type)
  const text = boundary?.[1] ?? boundary?.[2]
  if (text === undefined) throw invalid('body', 'must have a boundary in its Content-Type, as forms have')
  if (countOf(bytes, `--${text}`) > PARTS_MAX + 1) throw invalid('body', `must have at most ${PARTS_MAX} parts`)
  // With the boundary that was counted: a second one in the header would be another form.
  const form = await formOf(bytes, `multipart/form-data; boundary="${text}"`)
  const files: Uint8Array[] = []
  for (const field of FILE_FIELDS) {
    for (const value of form.getAll(field)) {
      if (typeof value === 'string') throw invalid(field, 'must be a file')
      files.push(new Uint8Array(await value.arrayBuffer()))
    }
  }
  if (files.length === 0) throw invalid('file', 'is missing')
  return { input: files.length === 1 ? files[0] : files, parameters: parametersOf(form.get('parameters')) }
}

/** A boundary that a file holds too is none: this count is too high at most. */
function countOf(bytes: Uint8Array, text: string): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let count = 0
  for (let at = buffer.indexOf(text); at >= 0 && count <= PARTS_MAX + 1; at = buffer.indexOf(text, at + text.length)) count += 1
  return count
}

async function formOf(bytes: Uint8Array, type: string) {
  try {
    // The cast: bodies are in memory of their own, which is not shared.
    return await new Response(bytes as Uint8Array<ArrayBuffer>, { headers: { 'content-type': type } }).formData()
  } catch (error) {
    throw new VestalError('BODY_INVALID', { detail: { body: 'must be a form as its Content-Type says' }, cause: error })
  }
}

function parametersOf(value: string | Blob | null): unknown {
  if (value === null) return undefined
  if (typeof value !== 'string') throw invalid('parameters', 'must be JSON')
  return decodeJson(new TextEncoder().encode(value), {}, (parameters) => parameters)
}

function invalid(field: string, rule: string): VestalError {
  return new VestalError('BODY_INVALID', { detail: { [field]: rule } })
}
