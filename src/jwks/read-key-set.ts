import { ALGORITHMS, type Algorithm, isAlgorithm } from '../jwt/algorithms.ts'
import type { Jwk } from '../jwt/jwk-members.ts'
import { KeyError } from '../jwt/key-error.ts'
import { importKeys } from '../jwt/key-set.ts'
import { importJwk, type Key } from '../jwt/keys.ts'
import { readStrictObject } from '../jwt/strict-json.ts'

/** What an issuer's key may be for where neither it nor the settings say so: public keys alone, the commonest of each kind first. */
export const PUBLIC_ALGORITHMS = (Object.keys(ALGORITHMS) as Algorithm[]).filter((name) => ALGORITHMS[name].kind !== 'oct')

/** Members of a set; a set with more is refused. */
const MEMBERS_MAX = 256
/** Members that hold a secret (RFC 7518 §6). Whoever publishes one has given the key away. */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/**
 * Reads a JWK Set that came over the network (RFC 7517 §5). Keys that are for something else, or of a kind that is not known here, are
 * left out, as the standard asks; a set with a secret in it, or two keys of one name, is refused whole.
 * @throws KeyError saying what is wrong, and never what the set holds
 */
export function readKeySet(bytes: Buffer, algorithms: readonly Algorithm[] = PUBLIC_ALGORITHMS): readonly Key[] {
  const set = readStrictObject(bytes)
  if (typeof set === 'string') throw new KeyError(`the answer is ${set}`)
  const { keys: members } = set
  if (!Array.isArray(members)) throw new KeyError('the answer is no JWK Set: it has no list "keys"')
  if (members.length > MEMBERS_MAX) throw new KeyError(`the set has more than ${MEMBERS_MAX} keys`)
  const keys = members.flatMap((member: unknown) => readMember(member, algorithms))
  if (keys.length === 0) throw new KeyError('the set has no key that may verify a token')
  return importKeys(keys)
}

function readMember(member: unknown, algorithms: readonly Algorithm[]): readonly Key[] {
  if (typeof member !== 'object' || member === null || Array.isArray(member)) throw new KeyError('a member of the set is no JWK')
  // The cast is what the check above establishes.
  const jwk = member as Jwk
  if (SECRET_MEMBERS.some((name) => Object.hasOwn(jwk, name))) throw new KeyError('the set publishes a private or shared key')
  const algorithm = algorithmFor(jwk, algorithms)
  if (algorithm === undefined || !isForVerifying(jwk)) return []
  try {
    return [importJwk(jwk, { algorithm })]
  } catch (error) {
    // Too short, off its curve, members missing: RFC 7517 §5 has it ignored, and its tokens then find no key.
    if (error instanceof KeyError) return []
    throw error
  }
}

/** Each key has one algorithm: its own, or the first accepted one for its kind and curve. */
function algorithmFor({ alg, kty, crv }: Jwk, accepted: readonly Algorithm[]): Algorithm | undefined {
  if (alg !== undefined) return isAlgorithm(alg) && accepted.includes(alg) ? alg : undefined
  return accepted.find((name) => ALGORITHMS[name].kind === kty && (kty === 'RSA' || CURVES[name] === crv))
}

const CURVES: Readonly<Partial<Record<Algorithm, string>>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521', EdDSA: 'Ed25519' }

function isForVerifying({ use, key_ops: operations }: Jwk): boolean {
  if (use !== undefined && use !== 'sig') return false
  return operations === undefined || (Array.isArray(operations) && operations.includes('verify'))
}
