/** Bodies of inference requests with binary tensor data, made by hand and not by the code under test. */

export interface BinaryBody {
  readonly body: Uint8Array
  readonly headers: { readonly 'inference-header-content-length': string }
}

/** JSON with blobs behind it, and the header that says where they begin. */
export function binaryBody(json: unknown, ...blobs: readonly Uint8Array[]): BinaryBody {
  const head = Buffer.from(JSON.stringify(json))
  const body = new Uint8Array(Buffer.concat([head, ...blobs]))
  return { body, headers: { 'inference-header-content-length': String(head.length) } }
}

/** The bytes of a typed array. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** BYTES as binary tensor data: a length of 32 bits before each element. */
export function textBytes(...texts: readonly (string | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text)
      const length = Buffer.alloc(4)
      length.writeUInt32LE(bytes.length)
      return [length, bytes]
    }),
  )
}

export interface BinaryAnswer {
  readonly status: number
  readonly type: string | null
  readonly json: {
    readonly outputs: readonly { readonly name: string; readonly parameters?: Readonly<Record<string, number>> }[]
  }
  /** Binary tensor data by output. */
  readonly blobs: Readonly<Record<string, Uint8Array>>
}

/** Reads an answer that may have binary tensor data, and checks that its lengths add up. */
export async function readBinaryAnswer(response: Response): Promise<BinaryAnswer> {
  const bytes = await response.bytes()
  const header = response.headers.get('inference-header-content-length')
  const jsonLength = header === null ? bytes.length : Number(header)
  const json = JSON.parse(Buffer.from(bytes.subarray(0, jsonLength)).toString()) as BinaryAnswer['json']
  const blobs: Record<string, Uint8Array> = {}
  let position = jsonLength
  for (const { name, parameters } of json.outputs ?? []) {
    const size = parameters?.binary_data_size
    if (size === undefined) continue
    blobs[name] = bytes.slice(position, position + size)
    position += size
  }
  if (position !== bytes.length) throw new Error(`the answer has ${bytes.length} bytes, its parts have ${position}`)
  return { status: response.status, type: response.headers.get('content-type'), json, blobs }
}
