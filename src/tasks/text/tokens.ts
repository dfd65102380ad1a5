/** A `tokenizer.json`, as it was when its model was loaded. */
export interface TokenizerFile {
  readonly path: string
  /** SHA-256 in hexadecimal. */
  readonly sha256: string
}

/** A text, or a pair of texts that the model reads together. */
export type TextOrPair = string | readonly [string, string]

/** How texts are encoded. */
export interface EncodeRequest {
  readonly file: TokenizerFile
  readonly texts: readonly TextOrPair[]
  /** Tokens of one text, special ones included. */
  readonly tokensMax: number
  /** The side at which longer ones are cut; `none`: only their length is given. */
  readonly cut: 'left' | 'right' | 'none'
  /** Whether of a pair only the first text is cut; default the longer one. */
  readonly cutsFirst?: boolean
  /** Whether the special tokens of the tokenizer are added; default true. */
  readonly hasSpecial?: boolean
  /** Tokens that a window shares with the one before it, where a long text is cut into windows; absent: one window for each text. */
  readonly stride?: number | undefined
  /** Tokens of the windows of one text, after which there are no further ones: the caller takes no more. */
  readonly windowTokensMax?: number
  /** Whether offsets, words and texts of the tokens are asked for. */
  readonly hasDetails?: boolean
}

/** How ids become texts. */
export interface DecodeRequest {
  readonly file: TokenizerFile
  readonly ids: readonly (readonly number[])[]
  readonly skipsSpecial: boolean
}

/** The tokens of a text, or of a window of it. */
export interface Encoded {
  readonly ids: readonly number[]
  readonly types: readonly number[]
  readonly details?: TokenDetails
}

/** What is known of each token beside its id. */
export interface TokenDetails {
  readonly tokens: readonly string[]
  /** Index of the text of a pair, or -1 for a token that the tokenizer added. */
  readonly sequences: readonly number[]
  /** 1 for a token that goes on with the word of the token before it, otherwise 0. */
  readonly inside: readonly number[]
  /** Where the token begins and ends in its text, in UTF-16 units. */
  readonly starts: readonly number[]
  readonly ends: readonly number[]
}

/** What became of a text: its windows, or its length where it is longer than it may be and not cut. */
export type EncodedText = { readonly windows: readonly Encoded[] } | { readonly tooLong: number }

/** Why texts cannot be encoded: the file is another, the file cannot be read, or the tokenizer fails on a text. */
export class TokenizerFailure extends Error {
  override readonly name = 'TokenizerFailure'
  readonly code: 'changed' | 'unreadable' | 'failed'

  constructor(code: TokenizerFailure['code'], message: string) {
    super(message)
    this.code = code
  }
}
