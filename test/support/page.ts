/** A fenced block of a page, with what the HTML comment before it says about running it. */
export interface Block {
  readonly language: string
  readonly text: string
  /** Line of the page on which the fence opens. */
  readonly line: number
  readonly mark: Mark | undefined
}

/**
 * - `<!-- not run: reason -->`: the block needs root, the network or a system that is not here.
 * - `<!-- keeps running on 8000 -->`: a terminal of its own; it ends with the page, or when the next block takes its port.
 * - `<!-- file: app.ts -->`: the reader saves the block under that name.
 * - `<!-- typed: text -->`: the reader types this line, such as a password, where the block asks.
 * - `<!-- prints -->`: what the block before it prints; `…` stands for any text.
 */
export type Mark =
  | { readonly kind: 'not-run'; readonly reason: string }
  | { readonly kind: 'keeps-running'; readonly port: string }
  | { readonly kind: 'file'; readonly name: string }
  | { readonly kind: 'typed'; readonly line: string }
  | { readonly kind: 'prints' }

/** Reads the fenced blocks of a page, in order. @throws Error for a comment that is meant for a block and says nothing known */
export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = []
  const fence = /(?:^ *<!--(?<comment>[^\n]*?)-->\n)?^(?<indent> *)```(?<language>\w*)\n(?<text>[\s\S]*?)^ *```$/gm
  for (const { groups = {}, index } of page.matchAll(fence)) {
    const { comment, indent = '', language = '', text = '' } = groups
    const line = page.slice(0, index).split('\n').length + (comment === undefined ? 0 : 1)
    blocks.push({
      language,
      text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      line,
      mark: comment === undefined ? undefined : markOf(comment.trim(), line),
    })
  }
  return blocks
}

function markOf(comment: string, line: number): Mark {
  const [, reason] = /^not run:(.*)$/.exec(comment) ?? []
  if (reason !== undefined) return { kind: 'not-run', reason: reason.trim() }
  const [, port] = /^keeps running on (\d+)$/.exec(comment) ?? []
  if (port !== undefined) return { kind: 'keeps-running', port }
  const [, name] = /^file: ([\w.-]+(?:\/[\w.-]+)*)$/.exec(comment) ?? []
  if (name !== undefined) return { kind: 'file', name }
  const [, typed] = /^typed: (.+)$/.exec(comment) ?? []
  if (typed !== undefined) return { kind: 'typed', line: typed }
  if (comment === 'prints') return { kind: 'prints' }
  throw new Error(
    `line ${line - 1}: "${comment}" is none of "not run: …", "keeps running on PORT", "file: NAME", "typed: LINE", "prints"`,
  )
}

/** True where what was printed is what the page shows; `…` in the page stands for any text. Spaces at the ends of lines do not count. */
export function isPrinted(shown: string, printed: string): boolean {
  const pattern = shown
    .trim()
    .split('…')
    .map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&').replaceAll(/[ \t\r]+\n/g, '\n'))
    .join('[\\s\\S]*?')
  return new RegExp(`^${pattern}$`).test(printed.trim().replaceAll(/[ \t\r]+\n/g, '\n'))
}
