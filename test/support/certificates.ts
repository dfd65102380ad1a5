import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** A certificate that signs others, or is a server's or client's own. */
export interface Certificate {
  /** The certificate as PEM. */
  readonly cert: string
  /** Its private key as PEM. */
  readonly key: string
  readonly name: string
}

export interface CertificateOptions {
  /** Common name; also its DNS name. */
  readonly name?: string
  /** Who signs it; itself by default. */
  readonly issuer?: Certificate
  /** Days from now at which it begins and ends; -1 and 3650 by default. */
  readonly fromDays?: number
  readonly toDays?: number
  /** Whether it may sign others; default true. */
  readonly isAuthority?: boolean
}

const DAY_MS = 86_400_000

/** Makes an X.509 certificate for localhost and 127.0.0.1, with a key of its own on P-256. */
export function makeCertificate(options: CertificateOptions = {}): Certificate {
  const { name = 'localhost', issuer, fromDays = -1, toDays = 3650, isAuthority = true } = options
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signing = issuer === undefined ? privateKey : createPrivateKey(issuer.key)
  const toBeSigned = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    nameOf(issuer?.name ?? name),
    sequence(time(fromDays), time(toDays)),
    nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(authority(isAuthority), addresses(name))),
  )
  const signature = sign('sha256', toBeSigned, signing)
  const whole = sequence(toBeSigned, ECDSA_WITH_SHA256, tagged(0x03, Buffer.concat([Buffer.from([0]), signature])))
  return { cert: pem(whole), key: pemOfKey(privateKey), name }
}

/** A private key under a passphrase, as PEM. */
export function sealedKey({ key }: Certificate): string {
  const options = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'a passphrase of tests' } as const
  return createPrivateKey(key).export(options) as string
}

function pemOfKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

/** One value of DER: its tag, its length, its bytes. */
function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes)
}

function objectId(...bytes: readonly number[]): Buffer {
  return tagged(0x06, Buffer.from(bytes))
}

const ECDSA_WITH_SHA256 = sequence(objectId(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
const COMMON_NAME = objectId(0x55, 0x04, 0x03)

function nameOf(name: string): Buffer {
  return sequence(tagged(0x31, sequence(COMMON_NAME, tagged(0x0c, Buffer.from(name)))))
}

function time(days: number): Buffer {
  const text = new Date(Date.now() + days * DAY_MS).toISOString().replace(/[-:T]|\.\d{3}/g, '')
  return tagged(0x18, Buffer.from(text))
}

/** basicConstraints: whether it may sign others. */
function authority(isAuthority: boolean): Buffer {
  const flag = isAuthority ? [tagged(0x01, Buffer.from([0xff]))] : []
  return sequence(objectId(0x55, 0x1d, 0x13), tagged(0x04, sequence(...flag)))
}

/** subjectAltName: its name, and this machine's address. */
function addresses(name: string): Buffer {
  const names = sequence(tagged(0x82, Buffer.from(name)), tagged(0x87, Buffer.from([127, 0, 0, 1])))
  return sequence(objectId(0x55, 0x1d, 0x11), tagged(0x04, names))
}
