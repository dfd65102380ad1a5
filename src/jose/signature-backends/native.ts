import { createRequire } from 'node:module'
import { ALGORITHMS, type Algorithm } from '../algorithms.ts'
import type { Key } from '../keys.ts'
import type { SignatureCheck } from './signature-check.ts'

type VerifySync = typeof import('@node-rs/jsonwebtoken').verifySync
type SignSync = typeof import('@node-rs/jsonwebtoken').signSync

/** The Rust addon, or why there is none. */
export interface NativeAddon {
  readonly verifySync?: VerifySync
  readonly signSync?: SignSync
  readonly reason?: string
}

const PACKAGE = '@node-rs/jsonwebtoken'
/** Who asks for it and under which name: the executable of `bun run build` has it in a folder beside itself. */
const [ASKER, NAME] = Bun.isStandaloneExecutable ? [process.execPath, './lib/jsonwebtoken.node'] : [import.meta.url, PACKAGE]

/** Loads the Rust addon; a platform without one still serves, and can say why. */
export function loadAddon(name = NAME): NativeAddon {
  try {
    const { verifySync, signSync } = createRequire(ASKER)(name) as typeof import('@node-rs/jsonwebtoken')
    return typeof verifySync === 'function'
      ? { verifySync, signSync }
      : { reason: `${PACKAGE} is broken: it has no "verifySync"` }
  } catch (error) {
    return { reason: `${PACKAGE} cannot be loaded: ${withoutPaths(error instanceof Error ? error.message : String(error))}` }
  }
}

/** The first sentence of a message, without what it quotes: that names paths of this machine. */
function withoutPaths(message: string): string {
  const [first = ''] = message.split(/\n|\. /)
  return first.replaceAll(/(?:'[^']*'|"[^"]*"|\S*[\\/]\S*)/g, '…')
}

/** True for what node-rs can check: it has no ES512. */
export function isNativeAlgorithm(algorithm: string): boolean {
  return algorithm !== 'ES512'
}

/**
 * node-rs as a signature oracle: it also checks claims, laxly, so those checks are off and what it returns is thrown away.
 * Every throw is a rejection: its texts differ from version to version. It takes a key as text, and reads that at each call.
 */
export function nativeCheck(verifySync: VerifySync, { verifying }: Key, algorithm: Algorithm): SignatureCheck {
  const isSecret = ALGORITHMS[algorithm].kind === 'oct'
  const material = isSecret ? verifying.export() : verifying.export({ type: 'spki', format: 'pem' }).toString()
  // The cast: node-rs declares a const enum that is these names at run time.
  const algorithms = [algorithm] as unknown as Required<NonNullable<Parameters<VerifySync>[2]>>['algorithms']
  const validation = Object.freeze({ algorithms, requiredSpecClaims: [], validateExp: false, validateNbf: false })
  return (token) => {
    try {
      verifySync(token.text, material, validation)
      return true
    } catch {
      return false
    }
  }
}

/** A token to sign: what its parts hold, and the two of them as they are to be signed. */
export interface Unsigned {
  readonly algorithm: Algorithm
  readonly kid: string | undefined
  readonly claims: object
  readonly input: string
}

/**
 * node-rs as a signer of HMAC. It writes the header itself, always with the `typ` `JWT`, and the claims in its own way; a token of it counts only
 * where it is the one that was asked for, to the letter, and is undefined where it is another.
 */
export function nativeToken(
  signSync: SignSync,
  { signing }: Key,
  { algorithm, kid, claims, input }: Unsigned,
): string | undefined {
  if (signing === undefined) return undefined
  try {
    // The cast: node-rs declares a const enum that is these names at run time.
    const header = { algorithm, keyId: kid } as unknown as Parameters<SignSync>[2]
    const token = signSync(claims as Parameters<SignSync>[0], signing.export(), header)
    return token.startsWith(`${input}.`) ? token : undefined
  } catch {
    // It takes no BigInt, no NaN and no function; what they become is for JSON to say.
    return undefined
  }
}
