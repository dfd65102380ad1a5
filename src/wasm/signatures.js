/**
 * Checks signatures of JSON Web Tokens in WebAssembly. Plain JavaScript, so that browsers, Node and workers load it as it is; they take
 * it as `vestal/wasm`. It says whether a signature is right, and nothing about header or claims: those are the caller's.
 */

/** The module's numbers of the algorithms. */
const ALGORITHMS = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
]
const CURVES = { ES256: ['P-256', 32], ES384: ['P-384', 48], ES512: ['P-521', 66] }
const HASH_BYTES = { HS256: 32, HS384: 48, HS512: 64 }

/** Keys in the module at once; of more, those that are used are imported again. */
const KEYS_MAX = 256

/**
 * @typedef {object} Exports
 * @property {WebAssembly.Memory} memory
 * @property {() => number} buffer
 * @property {() => number} buffer_bytes
 * @property {(algorithm: number, length: number, second: number) => number} import_key
 * @property {(handle: number) => void} drop_key
 * @property {(handle: number, signed: number, length: number) => number} verify
 */

/** A key for one algorithm, ready to be used. It holds its material, so that a module that failed can be replaced. */
class SignatureKey {
  /** @type {number} */ algorithm
  /** @type {readonly Uint8Array[]} */ #parts
  handle = -1

  /**
   * @param {number} algorithm
   * @param {readonly Uint8Array[]} parts
   */
  constructor(algorithm, parts) {
    this.algorithm = algorithm
    this.#parts = parts
  }

  /** The material, one part after the other, and where the last begins. */
  material() {
    const last = this.#parts.at(-1) ?? new Uint8Array(0)
    const bytes = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0))
    let offset = 0
    for (const part of this.#parts) {
      bytes.set(part, offset)
      offset += part.length
    }
    return { bytes, second: bytes.length - last.length }
  }
}

/** One instance of the module. It works synchronously, on the thread that calls it. `loadSignatureChecker` makes one. */
export class SignatureChecker {
  /** @type {WebAssembly.Module} */ #module
  /** @type {Exports} */ #exports
  /** @type {Uint8Array} */ #view
  /** @type {(SignatureKey | undefined)[]} */ #keys = []
  #next = 0
  #encoder = new TextEncoder()

  /** @param {WebAssembly.Module} module */
  constructor(module) {
    this.#module = module
    this.#exports = instantiate(module)
    this.#view = viewOf(this.#exports)
  }

  /**
   * Makes a key of a shared secret (HS*) or a public JWK (all others).
   * @param {string} algorithm one of RFC 7518 §3.1 and RFC 8037 §3.1
   * @param {Uint8Array | Readonly<Record<string, unknown>>} material
   * @returns {SignatureKey}
   * @throws {TypeError} when the material is not a usable key for the algorithm
   */
  importKey(algorithm, material) {
    const key = new SignatureKey(ALGORITHMS.indexOf(algorithm), partsOf(algorithm, material))
    if (key.algorithm === -1) throw new TypeError(`"${algorithm}" is not a signature algorithm`)
    if (!this.#place(key)) throw new TypeError(`this key cannot be used with ${algorithm}`)
    return key
  }

  /**
   * True when the signature of a compact JWS is right. The parts must be canonical base64url; a signature may be padded.
   * @param {SignatureKey} key
   * @param {string} token ASCII
   * @param {number} [signed] characters that are signed: up to the last dot, which is the default
   * @returns {boolean}
   */
  verify(key, token, signed = token.lastIndexOf('.')) {
    try {
      if (this.#keys[key.handle] !== key && !this.#place(key)) return false
      // The memory moves when it grows, and views of it then have no bytes.
      if (this.#view.length === 0) this.#view = viewOf(this.#exports)
      const { read, written } = this.#encoder.encodeInto(token, this.#view)
      if (read !== token.length || written !== token.length || signed < 0) return false
      return this.#exports.verify(key.handle, signed, written) === 1
    } catch (error) {
      // After a trap nobody knows what is in the memory: it is thrown away, and what caused it is refused.
      if (!(error instanceof WebAssembly.RuntimeError)) throw error
      this.#exports = instantiate(this.#module)
      this.#view = viewOf(this.#exports)
      this.#keys = []
      return false
    }
  }

  /** Bytes of the module's memory: keys take some, and checking tokens takes no more. */
  get memoryBytes() {
    return this.#exports.memory.buffer.byteLength
  }

  /** @param {SignatureKey} key */
  #place(key) {
    const { bytes, second } = key.material()
    if (this.#keys.length >= KEYS_MAX) {
      this.#exports.drop_key(this.#next)
      this.#keys[this.#next] = undefined
      this.#next = (this.#next + 1) % KEYS_MAX
    }
    if (this.#view.length === 0) this.#view = viewOf(this.#exports)
    if (bytes.length > this.#view.length) return false
    this.#view.set(bytes)
    const handle = this.#exports.import_key(key.algorithm, bytes.length, second)
    if (handle < 0) return false
    key.handle = handle
    this.#keys[handle] = key
    return true
  }
}

/**
 * Loads the module that comes with this file, or the one that is given: its bytes (`vestal/wasm/signatures.wasm`), or compiled where
 * a platform compiles nothing while it runs.
 *
 * @example
 * const checker = await loadSignatureChecker()
 * const key = checker.importKey('ES256', jwk)
 * const isRight = checker.verify(key, token)
 *
 * @param {ArrayBuffer | Uint8Array<ArrayBuffer> | WebAssembly.Module} [source]
 * @returns {Promise<SignatureChecker>}
 */
export async function loadSignatureChecker(source) {
  const given = source ?? (await readModule())
  return new SignatureChecker(given instanceof WebAssembly.Module ? given : await WebAssembly.compile(given))
}

/** The bytes are in a module of JavaScript, which every bundler and every runtime finds; a bundler that splits loads it only here. */
async function readModule() {
  const { GZIPPED_MODULE } = await import('./module-bytes.js')
  const gzipped = Uint8Array.from(atob(GZIPPED_MODULE), (character) => character.charCodeAt(0))
  return new Response(new Blob([gzipped]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer()
}

/**
 * @param {WebAssembly.Module} module
 * @returns {Exports}
 */
function instantiate(module) {
  return /** @type {Exports} */ (/** @type {unknown} */ (new WebAssembly.Instance(module, {}).exports))
}

/** @param {Exports} exports */
function viewOf(exports) {
  return new Uint8Array(exports.memory.buffer, exports.buffer(), exports.buffer_bytes())
}

/**
 * What the module wants of a key: a secret, the point of a curve (SEC 1 §2.3.3), or modulus and exponent.
 * @param {string} algorithm
 * @param {Uint8Array | Readonly<Record<string, unknown>>} material
 * @returns {readonly Uint8Array[]}
 */
function partsOf(algorithm, material) {
  const least = HASH_BYTES[/** @type {keyof typeof HASH_BYTES} */ (algorithm)]
  if (least !== undefined) {
    if (material instanceof Uint8Array && material.length > 0) return [material.slice()]
    throw new TypeError(`${algorithm} takes a secret of at least one byte; RFC 7518 asks for ${least}`)
  }
  if (material instanceof Uint8Array) throw new TypeError(`${algorithm} takes a JWK`)
  const { kty, crv, x, y, n, e } = material
  if (algorithm.startsWith('ES')) {
    const [curve, size] = CURVES[/** @type {keyof typeof CURVES} */ (algorithm)] ?? []
    if (kty !== 'EC' || crv !== curve) throw new TypeError(`${algorithm} takes a key of the curve ${curve}`)
    return [concat(Uint8Array.of(4), bytesOf(x, 'x', size), bytesOf(y, 'y', size))]
  }
  if (algorithm === 'EdDSA') {
    if (kty !== 'OKP' || crv !== 'Ed25519') throw new TypeError('EdDSA takes a key of the curve Ed25519')
    return [bytesOf(x, 'x', 32)]
  }
  if (kty !== 'RSA') throw new TypeError(`${algorithm} takes an RSA key`)
  return [bytesOf(n, 'n'), bytesOf(e, 'e')]
}

/** @param {Uint8Array[]} parts */
function concat(...parts) {
  const [head, x, y] = parts
  return Uint8Array.of(...(head ?? []), ...(x ?? []), ...(y ?? []))
}

/**
 * @param {unknown} text
 * @param {string} member
 * @param {number | string} [size]
 */
function bytesOf(text, member, size) {
  if (typeof text !== 'string' || !/^[\w-]+$/.test(text)) throw new TypeError(`the JWK member "${member}" is not base64url`)
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0))
  if (size !== undefined && bytes.length !== size) throw new TypeError(`the JWK member "${member}" has not ${size} bytes`)
  return bytes
}
