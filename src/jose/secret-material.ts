import { createPublicKey } from 'node:crypto'

/**
 * What a shared secret would be by mistake: something that others know, or that is a key of another kind. Taken for a secret, a public
 * key lets everybody sign (RFC 8725 §3.1, CVE-2016-10555 and its kin). Undefined where the bytes are none of these.
 */
export function keyInSecret(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes).toString('latin1').trim()
  if (text.includes('-----BEGIN ')) return 'a PEM'
  if (/^(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S+) /.test(text)) return 'an SSH key'
  if (text.startsWith('{') && isJwkText(text)) return 'a JWK'
  if (isDer(bytes) || (/^[\w+/-]+={0,2}$/.test(text) && isDer(Buffer.from(text, 'base64')))) return 'a key in DER'
  return undefined
}

function isJwkText(text: string): boolean {
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'object' && value !== null && ('kty' in value || 'keys' in value)
  } catch {
    // Not JSON, so not a JWK.
    return false
  }
}

function isDer(bytes: Uint8Array): boolean {
  // A SEQUENCE with a length of more than one byte, or a short one that is as long as it says: all keys in DER begin so.
  if (bytes[0] !== 0x30 || bytes.length < 40) return false
  return (['spki', 'pkcs1'] as const).some((type) => {
    try {
      createPublicKey({ key: Buffer.from(bytes), format: 'der', type })
      return true
    } catch {
      // Not a key of this form.
      return false
    }
  })
}
