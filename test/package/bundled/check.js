import { loadSignatureChecker } from 'vestal/wasm'

/**
 * Answers whether each token is right. It runs in pages, in workers and in Node.
 * @param {readonly { algorithm: string, secret?: string, jwk?: object, token: string }[]} cases
 */
export async function check(cases) {
  const checker = await loadSignatureChecker()
  return cases.map(({ algorithm, secret, jwk, token }) => {
    const material = secret === undefined ? { ...jwk } : new TextEncoder().encode(secret)
    return checker.verify(checker.importKey(algorithm, material), token)
  })
}
