/**
 * The executable's program: the server's command line, or, where a server starts it so, the process of one instance of a model, of its code, of
 * pictures, or of tokenizers, or its thread that reads large bodies.
 */
if (!Bun.isMainThread) await import('../src/http/predict/body-thread.ts')
else if (process.argv[2] === 'instance') await import('../src/inference/instance/main.ts')
else if (process.argv[2] === 'media') await import('../src/tasks/media/main.ts')
else if (process.argv[2] === 'tokenizer') await import('../src/tasks/text/tokenizer-main.ts')
else if (process.argv[2] === 'code') await import('../src/inference/code/main.ts')
else await import('../src/cli/main.ts')

export {}
