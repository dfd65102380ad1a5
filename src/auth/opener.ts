import { type Decryptor, isEncrypted } from '../jwt/decrypt.ts'

/** The signed token of a request; a promise where an encrypted one must be opened first, and the request then asks again. */
export type Opener = (request: Request, text: string) => string | Promise<void>

/** Opens encrypted tokens, and keeps what came of it for as long as the request is there. */
export function createOpener(decrypt: Decryptor): Opener {
  const opened = new WeakMap<Request, { readonly signed: string } | { readonly error: unknown }>()
  return (request, text) => {
    if (!isEncrypted(text)) return text
    const found = opened.get(request)
    if (found === undefined) {
      return decrypt(text).then(
        (signed) => void opened.set(request, { signed }),
        (error: unknown) => void opened.set(request, { error }),
      )
    }
    if ('error' in found) throw found.error
    return found.signed
  }
}
