import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { SettingsError } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { isOpenToOthers, readSmallFile } from '../platform/small-file.ts'

/** What a listener with TLS needs, checked. */
export interface LoadedTls {
  readonly cert: string
  readonly key: string
  /** The CA of client certificates; absent where none is required. */
  readonly ca?: string
  /** Faults that do not prevent serving, such as a certificate that expires soon. */
  readonly warnings: readonly string[]
  /** Describes the certificate, for the log. */
  readonly description: string
  /** Differs where certificate, key or CA differ. */
  readonly identity: string
}

type TlsSettings = Pick<Settings, 'tlsCert' | 'tlsKey' | 'tlsClientCa'> & Partial<Pick<Settings, 'unix'>>

const DAY_MS = 86_400_000
const WARNING_DAYS = 14
const RSA_BITS_MIN = 2048

/** The files of TLS that the settings name, in the order of the settings. */
export function tlsFiles({ tlsCert, tlsKey, tlsClientCa }: TlsSettings): readonly string[] {
  return [tlsCert, tlsKey, tlsClientCa].filter((path) => path !== undefined)
}

/**
 * Reads the certificate, its key and the clients' CA, and checks that they can be used together now; nothing where no certificate is set.
 * @throws SettingsError with every fault, each naming setting, file and rule
 */
export function loadTls(settings: TlsSettings, now = Date.now()): LoadedTls | undefined {
  const { tlsCert, tlsKey, tlsClientCa } = settings
  if (tlsCert === undefined && tlsKey === undefined && tlsClientCa === undefined) return undefined
  if (settings.unix !== undefined)
    throw new SettingsError(['tls_cert: has no effect on a Unix socket; remove it, or remove unix'])
  if (tlsCert === undefined) throw new SettingsError(['tls_cert: must be set where tls_key or tls_client_ca is'])
  if (tlsKey === undefined) throw new SettingsError(['tls_key: must be set where tls_cert is'])
  const faults: string[] = []
  const attempt = <Result>(place: string, work: () => Result): Result | undefined => {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      faults.push(...error.faults.map((fault) => `${place}: ${fault}`))
      return undefined
    }
  }
  const chain = attempt('tls_cert', () => readCertificates(tlsCert, now))
  const key = attempt('tls_key', () => readKey(tlsKey))
  const clients = tlsClientCa === undefined ? undefined : attempt('tls_client_ca', () => readAuthorities(tlsClientCa, now))
  const own = chain?.certificates[0]
  if (own !== undefined && key !== undefined && !own.checkPrivateKey(key.object))
    faults.push(`tls_key: ${tlsKey}: is not the key of the certificate in ${tlsCert}`)
  if (faults.length > 0 || chain === undefined || own === undefined || key === undefined) throw new SettingsError(faults)
  return {
    cert: chain.text,
    key: key.text,
    ...(clients && { ca: clients.text }),
    warnings: warningsOf(own, { tlsCert, tlsKey, now }),
    description: `the certificate of ${nameOf(own)}, good until ${dayOf(own.validTo)}`,
    identity: Bun.hash([chain.text, key.text, clients?.text ?? ''].join('\0')).toString(16),
  }
}

interface ReadCertificates {
  readonly text: string
  readonly certificates: readonly X509Certificate[]
}

function readCertificates(path: string, now: number): ReadCertificates {
  const text = readSmallFile(path).toString('latin1')
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new SettingsError([`${path}: holds no certificate in PEM`])
  const certificates = blocks.map((block) => parseCertificate(block, path))
  for (const certificate of certificates) checkCertificate(certificate, path, now)
  return { text, certificates }
}

function readAuthorities(path: string, now: number): ReadCertificates {
  const read = readCertificates(path, now)
  const other = read.certificates.find(({ ca }) => !ca)
  if (other !== undefined)
    throw new SettingsError([`${path}: the certificate of ${nameOf(other)} may not sign others (it is no CA)`])
  return read
}

function parseCertificate(block: string, path: string): X509Certificate {
  try {
    return new X509Certificate(block)
  } catch {
    throw new SettingsError([`${path}: holds a certificate that cannot be read`])
  }
}

function checkCertificate(certificate: X509Certificate, path: string, now: number): void {
  const { validFrom, validTo, publicKey } = certificate
  const called = `${path}: the certificate of ${nameOf(certificate)}`
  if (Date.parse(validTo) <= now) throw new SettingsError([`${called} expired on ${dayOf(validTo)}`])
  if (Date.parse(validFrom) > now) throw new SettingsError([`${called} is not valid before ${dayOf(validFrom)}`])
  const bits = publicKey.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < RSA_BITS_MIN)
    throw new SettingsError([`${called} has an RSA key of ${bits} bits, and must have at least ${RSA_BITS_MIN}`])
}

function readKey(path: string): { readonly text: string; readonly object: KeyObject } {
  const text = readSmallFile(path).toString('latin1')
  try {
    return { text, object: createPrivateKey(text) }
  } catch (error) {
    const isSealed = error instanceof Error && 'code' in error && error.code === 'ERR_MISSING_PASSPHRASE'
    throw new SettingsError([
      isSealed
        ? `${path}: is encrypted with a passphrase, which is not supported; decrypt it and make it readable only by the server`
        : `${path}: holds no private key in PEM`,
    ])
  }
}

function warningsOf(
  own: X509Certificate,
  { tlsCert, tlsKey, now }: { readonly tlsCert: string; readonly tlsKey: string; readonly now: number },
): readonly string[] {
  const warnings: string[] = []
  if (isOpenToOthers(tlsKey)) warnings.push(`tls_key: ${tlsKey}: is readable by other users; chmod 600 corrects that`)
  const days = Math.floor((Date.parse(own.validTo) - now) / DAY_MS)
  if (days < WARNING_DAYS)
    warnings.push(`tls_cert: ${tlsCert}: the certificate expires in ${days} days, on ${dayOf(own.validTo)}`)
  if (own.subjectAltName === undefined)
    warnings.push(`tls_cert: ${tlsCert}: the certificate has no subjectAltName, so clients reject it`)
  return warnings
}

/** The common name of a certificate, or its whole subject. */
function nameOf({ subject }: X509Certificate): string {
  const name = /^CN=(.+)$/m.exec(subject)?.[1] ?? subject
  return JSON.stringify(name.slice(0, 100))
}

function dayOf(time: string): string {
  return new Date(time).toISOString().slice(0, 10)
}
