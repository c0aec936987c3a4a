// Requests as no client of ours would send them.
import { request, type RequestOptions } from 'node:http'

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly json: unknown
}

/** `where` is the socket's path, or host and port. Nothing is added to the headers but what Node must add. */
export function rawRequest(where: RequestOptions, options: RequestOptions & { readonly body?: string | Buffer }): Promise<RawAnswer> {
  const { body, ...rest } = options
  return new Promise((resolve, reject) => {
    const sent = request({ ...where, agent: false, ...rest }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        const json: unknown = text === '' ? null : JSON.parse(text)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, json })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
