import { readFileSync } from 'node:fs'
import { SignatureChecker } from './signatures.js'

let checker: SignatureChecker | undefined

/** The module that comes with this package, compiled at first use and kept: one instance a thread. */
export function bundledChecker(): SignatureChecker {
  checker ??= new SignatureChecker(new WebAssembly.Module(readFileSync(new URL('./signatures.wasm', import.meta.url))))
  return checker
}
