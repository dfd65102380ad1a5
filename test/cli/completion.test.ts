import { describe, expect, test } from 'bun:test'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Workplace } from '../support/command-line.ts'
import { hasTool } from '../support/tools.ts'

/** What somebody typed, the last word unfinished, and what the shell offers. */
const CASES: readonly (readonly [typed: readonly string[], offers: readonly string[], not?: string])[] = [
  [['sta'], ['start']],
  [[''], ['start', 'token', 'models', 'completion'], 'engine-process'],
  [
    ['users', ''],
    ['add', 'list', 'signout'],
  ],
  [['users', 'pa'], ['passwd']],
  [['completion', 'z'], ['zsh']],
  [['start', '--model-c'], ['--model-control']],
  [
    ['start', '--model-control', ''],
    ['none', 'explicit', 'poll'],
  ],
  [['start', '--model-control', 'po'], ['poll']],
  [['start', '--log-level', 'w'], ['warn']],
  [
    ['models', 'run', 'iris', '--input-format', 'n'],
    ['ndjson', 'npy'],
  ],
  [['token', '--sub'], ['--subject'], '--subject-bytes-max=x'],
  [['token', '--secr'], [], '--secret'],
  [['start', '--config', 'own.t'], ['own.toml']],
  [['start', '--data', 'fol'], ['folder']],
]

function workplace(): Workplace {
  const place = new Workplace()
  writeFileSync(join(place.folder, 'own.toml'), '')
  mkdirSync(join(place.folder, 'folder'))
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout, stderr, exitCode } = place.run(['completion', shell])
    expect([shell, exitCode, stderr]).toEqual([shell, 0, ''])
    writeFileSync(join(place.folder, `script.${shell}`), stdout)
  }
  return place
}

/** Offers of a shell's program, one a line. */
function offersOf(place: Workplace, command: readonly string[], environment: Record<string, string> = {}): readonly string[] {
  const { stdout, stderr, exitCode } = Bun.spawnSync([...command], {
    cwd: place.folder,
    env: { ...place.environment(), ...environment },
  })
  expect([stderr.toString(), exitCode]).toEqual(['', 0])
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
}

function expectOffers(
  typed: readonly string[],
  offered: readonly string[],
  [offers, not]: readonly [readonly string[], string | undefined],
): void {
  for (const offer of offers) expect([typed, offer, offered]).toEqual([typed, offer, expect.arrayContaining([offer])])
  if (not !== undefined) expect([typed, offered.includes(not)]).toEqual([typed, false])
}

const quoted = (words: readonly string[]) => words.map((word) => `'${word}'`).join(' ')

const bash = Bun.which('bash')
if (hasTool('bash', bash)) {
  describe('completion in bash', () => {
    test('offers verbs, actions, flags and values', () => {
      using place = workplace()
      for (const [typed, offers, not] of CASES) {
        const program = `source script.bash; COMP_WORDS=(vestal ${quoted(typed)}); COMP_CWORD=${typed.length}; _vestal; printf '%s\\n' "\${COMPREPLY[@]}"`
        expectOffers(typed, offersOf(place, [bash, '-c', program]), [offers, not])
      }
    })

    test('offers the values of a flag behind its equals sign', () => {
      using place = workplace()
      const words = ['start', '--model-control', '=', 'po']
      const program = `source script.bash; COMP_WORDS=(vestal ${quoted(words)}); COMP_CWORD=4; _vestal; printf '%s\\n' "\${COMPREPLY[@]}"`
      expect(offersOf(place, [bash, '-c', program])).toEqual(['poll'])
    })
  })
}

const zsh = Bun.which('zsh')
test.skipIf(zsh === null)('completion in zsh offers verbs, actions, flags and values', () => {
  using place = workplace()
  // What zsh's own completion would call, and what begins as was typed is offered.
  const stubs = `compdef() {}; compadd() { shift; print -l -- \${(M)@:#$PREFIX*} }; _describe() { print -l -- \${(M)\${verbs%%:*}:#$PREFIX*} }; _files() { [[ $1 == -/ ]] && print -l -- $PREFIX*(N/) || print -l -- $PREFIX*(N) }`
  for (const [typed, offers, not] of CASES) {
    const program = `${stubs}; source ./script.zsh; words=(vestal ${quoted(typed)}); CURRENT=${typed.length + 1}; PREFIX='${typed.at(-1)}'; _vestal; true`
    expectOffers(typed, offersOf(place, [zsh ?? '', '-f', '-c', program]), [offers, not])
  }
})

const fish = Bun.which('fish')
test.skipIf(fish === null)('completion in fish offers verbs, actions, flags and values', () => {
  using place = workplace()
  for (const [typed, offers, not] of CASES) {
    const offered = offersOf(place, [
      fish ?? '',
      '--no-config',
      '-c',
      `source script.fish; complete -C ${quoted([`vestal ${typed.join(' ')}`])}`,
    ])
    const names = offered.map((line) => (line.split('\t')[0] ?? '').replace(/\/$/, ''))
    expectOffers(typed, names, [offers, not])
  }
})
