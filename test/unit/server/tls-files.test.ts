import { describe, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SettingsError } from '../../../src/config/load.ts'
import { loadTls } from '../../../src/server/tls-files.ts'
import { makeCertificate, sealedKey } from '../../support/certificates.ts'

const root = makeCertificate({ name: 'root' })
const own = makeCertificate({ issuer: root })
const other = makeCertificate()
const expired = makeCertificate({ fromDays: -10, toDays: -1 })
const early = makeCertificate({ fromDays: 2 })
const leaf = makeCertificate({ issuer: root, isAuthority: false })

/** A folder with files, whose names the settings then hold. */
class Files implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'vestal-tls-'))

  path(name: string, content: string): string {
    const path = join(this.folder, name)
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }

  /** The faults of such files, without their folder. */
  faults({ cert = own.cert, key = own.key, ca }: { cert?: string; key?: string; ca?: string }): readonly string[] {
    const settings = {
      tlsCert: this.path('server.pem', cert),
      tlsKey: this.path('server.key', key),
      tlsClientCa: ca === undefined ? undefined : this.path('clients.pem', ca),
    }
    try {
      loadTls(settings)
      return []
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      return error.faults.map((fault) => fault.replaceAll(`${this.folder}/`, ''))
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

describe('a certificate and its key', () => {
  test('are used where they belong together, with a chain and a CA of clients', () => {
    using files = new Files()
    const tls = loadTls({
      tlsCert: files.path('server.pem', `${own.cert}${root.cert}`),
      tlsKey: files.path('server.key', own.key),
      tlsClientCa: files.path('clients.pem', root.cert),
    })
    expect(tls).toMatchObject({ cert: `${own.cert}${root.cert}`, key: own.key, ca: root.cert, warnings: [] })
    expect(tls?.description).toMatch(/^the certificate of "localhost", good until \d{4}-\d\d-\d\d$/)
  })

  test('are not there where nothing is set', () => {
    expect(loadTls({ tlsCert: undefined, tlsKey: undefined, tlsClientCa: undefined })).toBeUndefined()
  })

  const wrong: readonly (readonly [what: string, files: Parameters<Files['faults']>[0], faults: readonly string[]])[] = [
    ['no PEM', { cert: 'nonsense' }, ['tls_cert: server.pem: holds no certificate in PEM']],
    [
      'PEM that holds no certificate',
      { cert: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
      ['tls_cert: server.pem: holds a certificate that cannot be read'],
    ],
    ['a key in its place', { cert: own.key }, ['tls_cert: server.pem: holds no certificate in PEM']],
    ['a key of another', { key: other.key }, ['tls_key: server.key: is not the key of the certificate in server.pem']],
    ['a key that is none', { key: 'nonsense' }, ['tls_key: server.key: holds no private key in PEM']],
    [
      'a sealed key',
      { key: sealedKey(own) },
      [
        'tls_key: server.key: is encrypted with a passphrase, which is not supported; decrypt it and make it readable only by the server',
      ],
    ],
    [
      'a certificate that expired',
      { cert: expired.cert, key: expired.key },
      [expect.stringMatching(/"localhost" expired on \d{4}-/)],
    ],
    ['one that is not valid yet', { cert: early.cert, key: early.key }, [expect.stringMatching(/is not valid before \d{4}-/)]],
    ['an expired one in its chain', { cert: `${own.cert}${expired.cert}` }, [expect.stringContaining('expired on')]],
    ['a CA that is none', { ca: leaf.cert }, [expect.stringContaining('may not sign others')]],
    ['a CA that expired', { ca: expired.cert }, [expect.stringMatching(/^tls_client_ca: .* expired on/)]],
    [
      'several faults',
      { cert: 'x', key: 'y', ca: 'z' },
      [
        'tls_cert: server.pem: holds no certificate in PEM',
        'tls_key: server.key: holds no private key in PEM',
        'tls_client_ca: clients.pem: holds no certificate in PEM',
      ],
    ],
  ]
  for (const [what, given, expected] of wrong) {
    test(`are rejected with ${what}, naming setting, file and rule`, () => {
      using files = new Files()
      expect(files.faults(given)).toEqual([...expected])
    })
  }

  test('are rejected where a file is missing or one of the two is not set', () => {
    using files = new Files()
    const cert = files.path('server.pem', own.cert)
    const key = files.path('server.key', own.key)
    const refused = (settings: Partial<Parameters<typeof loadTls>[0]>, message: string) =>
      expect(() => loadTls({ tlsCert: undefined, tlsKey: undefined, tlsClientCa: undefined, ...settings })).toThrow(message)
    refused({ tlsCert: cert }, 'tls_key: must be set')
    refused({ tlsKey: key }, 'tls_cert: must be set')
    refused({ tlsClientCa: cert }, 'tls_cert: must be set')
    refused({ tlsCert: cert, tlsKey: key, unix: 'vestal.sock' }, 'tls_cert: has no effect on a Unix socket')
    refused({ tlsCert: `${cert}.gone`, tlsKey: key }, 'server.pem.gone: cannot be read')
  })

  test('are warned of where others can read the key, and where the end is near', () => {
    using files = new Files()
    const near = makeCertificate({ toDays: 3 })
    const tlsKey = files.path('server.key', near.key)
    chmodSync(tlsKey, 0o644)
    const tls = loadTls({ tlsCert: files.path('server.pem', near.cert), tlsKey, tlsClientCa: undefined })
    expect(tls?.warnings).toEqual([
      expect.stringMatching(/^tls_key: .*server\.key: is readable by other users; chmod 600 corrects that$/),
      expect.stringMatching(/^tls_cert: .*server\.pem: the certificate expires in 2 days, on /),
    ])
  })
})
