// @ts-nocheck: Node runs this as it is.
// Checks tokens in Node with vestal/wasm, as a service that is no Bun would. Usage: node node-wasm.mjs <module> <cases as JSON>
const [, , path, cases] = process.argv
const { loadSignatureChecker } = await import(path)
const checker = await loadSignatureChecker()
const answers = JSON.parse(cases).map(({ algorithm, secret, jwk, token }) => {
  const key = checker.importKey(algorithm, secret === undefined ? jwk : new TextEncoder().encode(secret))
  return checker.verify(key, token)
})
console.log(JSON.stringify(answers))
