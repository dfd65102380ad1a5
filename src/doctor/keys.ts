import { existsSync } from 'node:fs'
import { SettingsError } from '../config/load.ts'
import { isKeyFile, parseKeyFile, textOfTime } from '../keys/key-file.ts'
import { authenticationOf } from '../server/authentication.ts'
import { developmentSecretPath, readDevelopmentSecret } from '../server/development-secret.ts'
import { loadIssuers } from '../server/issuers.ts'
import { createKeyLoader, keyFilePath, readKeyFile, usesDevelopmentSecret } from '../server/load-keys.ts'
import { loadTls } from '../server/tls-files.ts'
import { type Finding, note, right, type Subject, wrong } from './finding.ts'

const MEND = 'Mend it or name another; docs/guides/keys.md says what may be a key.'

/** Keys: whether there are any, which one signs, which will soon verify no more, and those of others. */
export function lookAtKeys(subject: Subject): readonly Finding[] {
  const { settings } = subject
  return [
    ...explained(() => ownKeys(subject)),
    ...explained(() => {
      const issuers = loadIssuers(settings)
      return issuers.length === 0
        ? []
        : [right(`${issuers.length} other issuers are trusted; their keys are not fetched by this check`)]
    }),
    ...explained(() => {
      authenticationOf(settings, { keys: [], issuers: [] })
      return settings.decryptionKeyFile === undefined ? [] : [right('encrypted tokens can be opened')]
    }),
  ]
}

function ownKeys({ settings, mode }: Subject): readonly Finding[] {
  if (usesDevelopmentSecret(settings, mode)) return developmentSecret(settings.data)
  const { description, signing } = loadKeys({ settings, mode })
  const path = keyFilePath(settings)
  const isRing = settings.secret === undefined && settings.key === undefined && existsSync(path)
  const times = isRing ? timesOf(path) : []
  if (signing !== undefined) return [right(description), ...times]
  return [right(description), note('no key signs: tokens of others are verified, and none are made; there are no accounts')]
}

/** The keys as a start loads them; it never asks for a passphrase. */
function loadKeys({ settings, mode }: Pick<Subject, 'settings' | 'mode'>) {
  return createKeyLoader({ ...settings, keyPassphrase: settings.keyPassphrase ?? '' }, mode)()
}

function developmentSecret(folder: string): readonly Finding[] {
  const path = developmentSecretPath(folder)
  if (!existsSync(path)) return [note(`there is no key yet; the first start in development mode makes a secret in ${path}`)]
  readDevelopmentSecret(path)
  return [right(`the random secret of development mode, in ${path}`)]
}

/** What will happen to the keys of a key file. */
function timesOf(path: string): readonly Finding[] {
  const content = readKeyFile(path)
  if (!isKeyFile(content)) return []
  const now = Date.now() / 1000
  return parseKeyFile(content).ring.keys.flatMap(({ kid, state, dropAt }) => {
    if (state === 'next') return [note(`the key ${kid} is next; vestal keys rotate lets it sign`)]
    if (state !== 'retired' || dropAt === undefined || dropAt <= now) return []
    return [note(`the key ${kid} is retired and verifies until ${textOfTime(dropAt)}; its tokens are rejected from then on`)]
  })
}

/** The certificate of TLS: whether it can be used with its key, and for how long. */
export function lookAtTls({ settings }: Subject): readonly Finding[] {
  return explained(() => {
    const tls = loadTls(settings)
    if (tls === undefined) return [note('none: a proxy in front has to speak it where others can reach the server')]
    // The check of the files reports a key that others can read.
    const soon = tls.warnings.filter((warning) => !warning.startsWith('tls_key:'))
    return soon.length === 0 ? [right(tls.description)] : soon.map((warning) => wrong(warning, RENEW))
  }, RENEW)
}

const RENEW = 'Renew or replace it: a running server takes the new files up. docs/guides/network.md says what they must be.'

/** Reports a fault as the server does at its start: the first line says what is wrong, the next lines what to do. */
function explained(look: () => readonly Finding[], mend = MEND): readonly Finding[] {
  try {
    return look()
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    const [message = '', ...more] = error.faults
    return [wrong(message, more.length > 0 ? more.join('\n') : mend)]
  }
}

/** Whether the settings have a key of this server's own that signs. */
export function hasSigningKey({ settings, mode }: Subject): boolean {
  try {
    if (usesDevelopmentSecret(settings, mode)) return true
    return loadKeys({ settings, mode }).signing !== undefined
  } catch (error) {
    if (error instanceof SettingsError) return true
    throw error
  }
}
