/** One instruction of a Dockerfile, its line breaks joined. */
export interface Instruction {
  readonly name: string
  readonly text: string
}

/** A stage: what it starts from, and what is done in it. */
export interface Stage {
  readonly from: string
  readonly name: string | undefined
  readonly instructions: readonly Instruction[]
}

/** Reads a Dockerfile: comments, line breaks, arguments before the first FROM. */
export function readDockerfile(text: string): readonly Stage[] {
  const instructions = text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line): Instruction => {
      const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
      if (name === '') throw new Error(`not an instruction: ${line}`)
      return { name, text: rest.trim() }
    })
  const values = new Map<string, string>()
  const stages: { from: string; name: string | undefined; instructions: Instruction[] }[] = []
  for (const instruction of instructions) {
    const stage = stages.at(-1)
    if (instruction.name === 'FROM') {
      const [image = '', as, name] = instruction.text.split(/\s+/)
      const from = image.replaceAll(/\$\{(\w+)\}/g, (_, key: string) => values.get(key) ?? '')
      stages.push({ from, name: as === 'AS' ? name : undefined, instructions: [] })
    } else if (stage !== undefined) stage.instructions.push(instruction)
    else if (instruction.name === 'ARG') {
      const [key = '', value = ''] = instruction.text.split('=')
      values.set(key, value)
    } else throw new Error(`${instruction.name} before the first FROM`)
  }
  return stages
}

/** The words of an instruction in JSON form, such as ENTRYPOINT. */
export function wordsOf(stage: Stage, name: string): readonly string[] {
  const text = stage.instructions.findLast((each) => each.name === name)?.text ?? ''
  return JSON.parse(text.slice(text.indexOf('['))) as readonly string[]
}

/** The variables that a stage sets. */
export function variablesOf(stage: Stage): Readonly<Record<string, string>> {
  const texts = stage.instructions.filter(({ name }) => name === 'ENV').map(({ text }) => text)
  return Object.fromEntries(texts.flatMap((text) => text.split(/\s+/).map((pair) => pair.split('=') as [string, string])))
}

/** Says whether a file belongs to the context, as its list of what is left out has it: the last line that fits counts. */
export function contextFilter(ignore: string): (path: string) => boolean {
  const rules = ignore
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ isKept: line.startsWith('!'), glob: line.replace(/^!/, '') }))
    .map(({ isKept, glob }) => ({ isKept, globs: [new Bun.Glob(glob), new Bun.Glob(`${glob}/**`)] }))
  return (path) => rules.findLast(({ globs }) => globs.some((glob) => glob.match(path)))?.isKept ?? true
}
