/** What a server of `digits` costs without a model and without a check: it parses the body and writes an answer of the same length. */
import { ANSWER } from './digits.ts'

const server = Bun.serve({
  port: Number(process.argv[2]),
  hostname: '127.0.0.1',
  routes: {
    '/v2/models/digits/infer': {
      POST: async (request) => {
        const { inputs } = (await request.json()) as { inputs: { data: number[] }[] }
        if (inputs[0]?.data.length !== 64) return new Response('', { status: 400 })
        return Response.json(ANSWER)
      },
    },
  },
})
console.log(server.port)
