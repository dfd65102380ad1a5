import { isLoopback } from '../core/loopback.ts'
import { KeyError } from '../jose/key-error.ts'

export interface FetchLimits {
  /** From the first packet to the last, in milliseconds. */
  readonly timeoutMs: number
  /** Bytes of the answer. */
  readonly bytesMax: number
  /** Gives the request up. */
  readonly signal: AbortSignal
  /** Headers beside our own. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/**
 * The address of a key set.
 * @throws TypeError where it is no `https:` address, or an `http:` one of this machine
 */
export function keySetAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (url === undefined || !isSafe) throw new TypeError('"jwksUrl" is an https address; http is only for a loopback address')
  if (url.username !== '' || url.password !== '' || url.hash !== '')
    throw new TypeError('"jwksUrl" has neither a user nor a fragment')
  return url
}

/**
 * Asks for a key set, once. No redirect is followed: it would let anyone who controls one path of the issuer's host choose the keys.
 * @throws KeyError saying why there is no answer that counts
 */
export async function fetchBytes(url: URL, { timeoutMs, bytesMax, signal, headers: more }: FetchLimits): Promise<Buffer> {
  const deadline = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(url, {
      redirect: 'manual',
      // Compressed answers would have to be unpacked before they can be measured, and Bun would unpack one that is not read.
      decompress: false,
      headers: { ...more, accept: 'application/jwk-set+json, application/json', 'accept-encoding': 'identity' },
      signal: AbortSignal.any([deadline, signal]),
    })
    const { status, headers } = response
    if (status !== 200) throw await rejected(response, `the answer has the status ${status}`)
    if (headers.get('content-encoding') !== null) throw await rejected(response, 'the answer is compressed')
    return await readUpTo(response, bytesMax)
  } catch (error) {
    if (error instanceof KeyError) throw error
    throw new KeyError(deadline.aborted ? `there is no answer within ${timeoutMs} ms` : 'the server cannot be reached')
  }
}

async function readUpTo(response: Response, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > bytesMax) throw new KeyError(`the answer is longer than ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function rejected(response: Response, reason: string): Promise<KeyError> {
  await response.body?.cancel()
  return new KeyError(reason)
}
