import { VestalError } from '../../core/errors.ts'
import { vectorTexts } from '../../tasks/bodies/vector-json.ts'
import { breathe } from '../../tasks/breath.ts'

/**
 * Vectors as JSON, each number in the shortest form that reads back as the same 32-bit float.
 * @throws VestalError INFERENCE_FAILED where a number is not finite: JSON has no form for it
 */
export function jsonOfVectors(vectors: readonly Float32Array[]): Promise<readonly string[]> {
  for (const vector of vectors) checkFinite(vector)
  return vectorTexts(vectors)
}

function checkFinite(vector: Float32Array): void {
  if (vector.every(Number.isFinite)) return
  throw new VestalError('INFERENCE_FAILED', { detail: 'The model gave a vector with a number that is not finite' })
}

/** Vectors as JSON texts of base64: their 32-bit floats, little-endian as every processor that Bun runs on has them. */
export async function base64OfVectors(vectors: readonly Float32Array[]): Promise<readonly string[]> {
  const texts: string[] = []
  for (const { buffer, byteOffset, byteLength } of vectors) {
    texts.push(`"${Buffer.from(buffer, byteOffset, byteLength).toString('base64')}"`)
    await breathe()
  }
  return texts
}

/** Bits: one a number, 1 where it is more than 0, the first one highest; the last byte is filled with zeros. numpy's `packbits` gives the same. */
function packBits(vector: Float32Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(vector.length / 8))
  for (const [index, number] of vector.entries()) {
    if (number > 0) bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (128 >> (index & 7))
  }
  return bytes
}

/** The bits of vectors as JSON: bytes from 0 to 255, or where they are signed, from -128 to 127. */
export function jsonOfBits(vectors: readonly Float32Array[], { isSigned }: { readonly isSigned: boolean }): readonly string[] {
  const first = isSigned ? 128 : 0
  return vectors.map((vector) => `[${Array.from(packBits(vector), (byte) => byte - first).join(',')}]`)
}

/** Texts of JSON as a list of JSON. */
export function listOf(texts: readonly string[]): string {
  return `[${texts.join(',')}]`
}
