import { type Decryptor, isEncrypted } from '../jose/decrypt.ts'

/** The signed token of a request or of whatever else carries it; a promise where an encrypted one must be opened first, and the carrier then asks again. */
export type JweDecrypter = (carrier: object, text: string) => string | Promise<void>

/** Opens encrypted tokens, and keeps what came of it for as long as its carrier is there. */
export function createJweDecrypter(decrypt: Decryptor): JweDecrypter {
  const opened = new WeakMap<object, { readonly signed: string } | { readonly error: unknown }>()
  return (carrier, text) => {
    if (!isEncrypted(text)) return text
    const found = opened.get(carrier)
    if (found === undefined) {
      return decrypt(text).then(
        (signed) => void opened.set(carrier, { signed }),
        (error: unknown) => void opened.set(carrier, { error }),
      )
    }
    if ('error' in found) throw found.error
    return found.signed
  }
}
