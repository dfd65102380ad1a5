import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { readDockerfile, variablesOf, wordsOf } from '../support/dockerfile.ts'

const ROOT = join(import.meta.dir, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

describe('deploy/Dockerfile', () => {
  const stages = readDockerfile(read('deploy/Dockerfile'))
  const last = stages.at(-1)
  if (last === undefined) throw new Error('there is no stage')

  test('builds with the Bun that package.json asks for, in images with a tag', () => {
    expect(stages.map(({ from }) => from)).toEqual([
      `oven/bun:${manifest.engines.bun.replace('>=', '')}-slim`,
      expect.stringMatching(/^[a-z.]+\/[a-z0-9./-]+:(?!latest)[\w.-]+$/),
    ])
  })

  test('runs as a user with a number, who is not root, and stops on SIGTERM', () => {
    const of = (name: string) => last.instructions.findLast((each) => each.name === name)?.text
    expect(of('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    expect(of('STOPSIGNAL')).toBe('SIGTERM')
    expect([...wordsOf(last, 'ENTRYPOINT'), ...wordsOf(last, 'CMD')]).toEqual(['/app/vestal', 'start'])
    expect(wordsOf(last, 'HEALTHCHECK')).toEqual(['/app/vestal', 'ready'])
    expect(wordsOf(last, 'VOLUME')).toEqual([variablesOf(last).VESTAL_DATA ?? ''])
  })

  test('has no secret in it, and copies nothing that could hold one', () => {
    const text = read('deploy/Dockerfile')
    expect(text).not.toMatch(/SECRET|PASSWORD|PASSPHRASE|TOKEN|VESTAL_KEY/i)
    expect(text).not.toMatch(/^COPY (?:--\S+ )*\.\/? /m)
    expect(text).not.toMatch(/^ADD /m)
  })
})

interface Service {
  readonly image: string
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly healthcheck?: object
  readonly build?: object
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly mem_limit?: string
}

describe('deploy/compose.yaml', () => {
  // The cast: the shape is what the tests below look at, and compose's own schema is asked in .ci/run.
  const { services } = Bun.YAML.parse(read('deploy/compose.yaml')) as { readonly services: Readonly<Record<string, Service>> }

  test('starts the four, each with a version, a health check, a limit of memory, and nothing it does not need', () => {
    expect(Object.keys(services)).toEqual(['vestal', 'postgres', 'redis', 'prometheus'])
    for (const [name, service] of Object.entries(services)) {
      expect([name, service.image]).toEqual([name, expect.stringMatching(/^[a-z/]+:v?\d+\.\d+/)])
      // Vestal's own is in its image.
      expect([name, service.healthcheck !== undefined || service.build !== undefined]).toEqual([name, true])
      expect([name, service.read_only, service.cap_drop, service.security_opt]).toEqual([
        name,
        true,
        ['ALL'],
        ['no-new-privileges:true'],
      ])
      expect([name, service.mem_limit]).toEqual([name, expect.any(String)])
      for (const { condition } of Object.values(service.depends_on ?? {})) expect(condition).toBe('service_healthy')
    }
    expect(services.vestal?.image).toBe(`vestal:${manifest.version}`)
  })

  test('publishes ports on loopback alone', () => {
    const ports = Object.values(services).flatMap((service) => service.ports ?? [])
    expect(ports).toEqual(['127.0.0.1:8000:8000', '127.0.0.1:9090:9090'])
  })

  test('has no password of its own: each must be set', () => {
    const text = read('deploy/compose.yaml')
    const asked = [...text.matchAll(/\$\{(\w+)([^}]*)\}/g)].map(([, name, rule]) => [name, rule])
    expect(asked.filter(([name]) => /PASSWORD/.test(name ?? '')).every(([, rule]) => rule === ':?must be set')).toBe(true)
    expect(new Set(asked.map(([name]) => name))).toEqual(
      new Set(['POSTGRES_PASSWORD', 'REDIS_PASSWORD', 'VESTAL_KEY_PASSPHRASE']),
    )
    for (const [name, value] of Object.values(services).flatMap((service) => Object.entries(service.environment ?? {}))) {
      if (/PASS|AUTH|SECRET|KEY|DATABASE|REDIS/.test(name))
        expect([name, value]).toEqual([name, expect.stringMatching(/\$\{\w+:/)])
    }
  })

  test('mounts files that there are', () => {
    const mounted = Object.values(services).flatMap((service) => service.volumes ?? [])
    for (const path of mounted.map((each) => each.split(':')[0] ?? '').filter((each) => each.startsWith('.')))
      expect([path, existsSync(join(ROOT, 'deploy', path))]).toEqual([path, true])
  })
})

describe('deploy/vestal.service', () => {
  const unit = read('deploy/vestal.service')

  test('starts the executable as a user of its own, with a private data folder and room for connections', () => {
    for (const line of ['User=vestal', 'StateDirectoryMode=0700', 'UMask=0077', 'ExecStart=/opt/vestal/vestal start'])
      expect(unit.split('\n')).toContain(line)
    expect(Number(/^LimitNOFILE=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThanOrEqual(4096)
  })

  test('waits longer for the stop than the server takes', () => {
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(7)
  })

  test('leaves memory executable, without which nothing is compiled', () => {
    expect(unit).not.toMatch(/^MemoryDenyWriteExecute=(?:true|yes|1)/m)
  })
})
