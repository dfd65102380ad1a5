import { flagOf, SETTING_NAMES, SETTINGS } from '../config/settings.ts'
import { readAction } from './action.ts'
import { firstSentence, type VerbHelp } from './help.ts'

/** Shells that `vestal completion` has a script for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const

/** What may follow a flag. */
type Value = { readonly kind: 'none' | 'any' | 'file' | 'folder' } | { readonly kind: 'words'; readonly words: readonly string[] }

interface Flag {
  readonly name: string
  readonly help: string
  readonly value: Value
}

/** `vestal completion bash|zsh|fish`: a script for the shell, which asks nothing of this program while somebody types. */
export function completion(verbs: readonly VerbHelp[], word: string | undefined): void {
  const shell = readAction('completion', word, { actions: SHELLS })
  console.log({ bash, zsh, fish }[shell](verbs).trimEnd())
}

const WORDS = /^[\w.-]+(?:\|[\w.-]+)+$/

function valueAfter(shown: string | undefined, words?: readonly string[]): Value {
  if (shown === undefined) return { kind: 'none' }
  if (words !== undefined) return { kind: 'words', words }
  if (WORDS.test(shown)) return { kind: 'words', words: shown.split('|') }
  return { kind: shown === 'FILE' ? 'file' : shown === 'FOLDER' ? 'folder' : 'any' }
}

/** The flags of every verb: those of the settings. */
function settingFlags(): readonly Flag[] {
  const flags = SETTING_NAMES.flatMap((name): readonly Flag[] => {
    const row = SETTINGS[name]
    if (row.kind === 'tables' || row.isSecret === true) return []
    return [
      { name: flagOf(name), help: row.help, value: valueAfter(row.value, row.kind === 'single' ? row.read.words : undefined) },
    ]
  })
  return [
    { name: '--help', help: 'Show the flags.', value: { kind: 'none' } },
    { name: '--config', help: 'File of settings.', value: { kind: 'file' } },
    ...flags,
  ]
}

function ownFlags({ flags }: VerbHelp): readonly Flag[] {
  return flags.map(({ name, value, help }) => ({ name: `--${name}`, help, value: valueAfter(value) }))
}

/** Flags whose value is one of a kind, as a pattern of `case`. */
function namesWith(flags: readonly Flag[], kind: Value['kind']): string {
  return [...new Set(flags.filter(({ value }) => value.kind === kind).map(({ name }) => name))].join('|')
}

/** Flags with the same words, once each. */
function flagsWithWords(flags: readonly Flag[]): readonly (readonly [name: string, words: readonly string[]])[] {
  return [...new Map(flags.flatMap(({ name, value }) => (value.kind === 'words' ? [[name, value.words] as const] : [])))]
}

/** The arms of `case "$verb"` that bash and zsh have in common. */
function verbArms(verbs: readonly VerbHelp[], common: readonly Flag[]): string {
  const all = common.map(({ name }) => name).join(' ')
  const arms = verbs.map((verb) => {
    const own = ownFlags(verb).map(({ name }) => name)
    return `    ${verb.name}) actions='${(verb.actions ?? []).join(' ')}'; flags='${own.join(' ')}' ;;`
  })
  return `  local all='${all}' actions='' flags=''
  case "$verb" in
${arms.join('\n')}
  esac`
}

function bash(verbs: readonly VerbHelp[]): string {
  const common = settingFlags()
  const flags = [...common, ...verbs.flatMap(ownFlags)]
  const wordArms = flagsWithWords(flags).map(
    ([name, words]) => `    ${name}) COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$word")); return ;;`,
  )
  return `# bash completion for vestal; load it with: source <(vestal completion bash)
_vestal() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} verb=\${COMP_WORDS[1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${verbs.map(({ name }) => name).join(' ')}' -- "$word"))
    return
  fi
  # --flag=value comes in three words.
  if [ "$word" = = ]; then word=
  elif [ "$previous" = = ]; then previous=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  case "$previous" in
${wordArms.join('\n')}
    ${namesWith(flags, 'file')}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word")); return ;;
    ${namesWith(flags, 'folder')}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$word")); return ;;
    ${namesWith(flags, 'any')}) return ;;
  esac
${verbArms(verbs, common)}
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$flags $all" -- "$word")) ;;
    *) if [ "$COMP_CWORD" -eq 2 ] && [ -n "$actions" ]; then COMPREPLY=($(compgen -W "$actions" -- "$word"))
       else COMPREPLY=($(compgen -W "$flags" -- "$word") $(compgen -f -- "$word")); fi ;;
  esac
}
complete -F _vestal vestal
`
}

function zsh(verbs: readonly VerbHelp[]): string {
  const common = settingFlags()
  const flags = [...common, ...verbs.flatMap(ownFlags)]
  const wordArms = flagsWithWords(flags).map(([name, words]) => `    ${name}) compadd -- ${words.join(' ')}; return ;;`)
  const described = verbs.map(({ name, summary }) => `    '${name}:${quotedText(summary)}'`)
  return `#compdef vestal
# zsh completion for vestal; put it into a folder of $fpath as _vestal, or load it with: source <(vestal completion zsh)
_vestal() {
  local previous=\${words[CURRENT-1]} verb=\${words[2]}
  local -a verbs
  verbs=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe verb verbs; return; fi
  case "$previous" in
${wordArms.join('\n')}
    ${namesWith(flags, 'file')}) _files; return ;;
    ${namesWith(flags, 'folder')}) _files -/; return ;;
    ${namesWith(flags, 'any')}) return ;;
  esac
${verbArms(verbs, common)}
  if [[ "$PREFIX" == -* ]]; then compadd -- \${=flags} \${=all}
  elif (( CURRENT == 3 )) && [[ -n "$actions" ]]; then compadd -- \${=actions}
  else compadd -- \${=flags}; _files
  fi
}
if [[ "\${funcstack[1]}" == _vestal ]]; then _vestal "$@"; else compdef _vestal vestal; fi
`
}

function fish(verbs: readonly VerbHelp[]): string {
  const names = verbs.map(({ name }) => name).join(' ')
  const line = (condition: string, { name, help, value }: Flag) =>
    `complete -c vestal -n '${condition}' -l ${name.slice(2)}${fishValue(value)} -d '${quotedText(firstSentence(help))}'`
  return [
    '# fish completion for vestal; save it as ~/.config/fish/completions/vestal.fish',
    'complete -c vestal -f',
    ...verbs.map(({ name, summary }) => `complete -c vestal -n __fish_use_subcommand -a ${name} -d '${quotedText(summary)}'`),
    ...verbs.flatMap(({ name, actions = [] }) =>
      actions.length === 0
        ? []
        : [
            `complete -c vestal -n '__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${actions.join(' ')}' -a '${actions.join(' ')}'`,
          ],
    ),
    ...verbs.flatMap((verb) => ownFlags(verb).map((flag) => line(`__fish_seen_subcommand_from ${verb.name}`, flag))),
    ...settingFlags().map((flag) => line(`__fish_seen_subcommand_from ${names}`, flag)),
  ].join('\n')
}

function fishValue(value: Value): string {
  if (value.kind === 'words') return ` -x -a '${value.words.join(' ')}'`
  return { none: '', any: ' -x', file: ' -r -F', folder: " -x -a '(__fish_complete_directories)'" }[value.kind]
}

/** As text between single quotes that fish and zsh read alike: without the characters that end or escape it. */
function quotedText(text: string): string {
  return text.replaceAll('\\', '').replaceAll("'", '’').replaceAll(':', ' –')
}
