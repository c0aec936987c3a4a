// `hostmesh completion …`: scripts that let a shell ask `hostmesh __complete` for what may come next.
import { buildCommand, buildRouteMap, type Command } from '@stricli/core'
import { COMPLETE } from '../complete-word.ts'
import type { CliContext } from '../context.ts'

const BASH = `_hostmesh() {
  local IFS=$'\\n'
  COMPREPLY=($(hostmesh ${COMPLETE} bash "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _hostmesh hostmesh
`

const ZSH = `#compdef hostmesh
_hostmesh() {
  local -a found
  found=("\${(@f)$(hostmesh ${COMPLETE} zsh "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  _describe hostmesh found
}
compdef _hostmesh hostmesh
`

const FISH = `complete -c hostmesh -f -a '(hostmesh ${COMPLETE} fish (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`

export const completion = buildRouteMap({
  routes: {
    bash: script('bash', 'hostmesh completion bash > /etc/bash_completion.d/hostmesh', BASH),
    zsh: script('zsh', 'hostmesh completion zsh > "${fpath[1]}/_hostmesh"', ZSH),
    fish: script('fish', 'hostmesh completion fish > ~/.config/fish/completions/hostmesh.fish', FISH),
  },
  docs: { brief: 'Shell completion: a script for bash, zsh or fish' },
})

function script(shell: string, install: string, text: string): Command<CliContext> {
  return buildCommand<Record<never, never>, [], CliContext>({
    docs: { brief: `The script for ${shell}`, fullDescription: `Install it with:\n  ${install}` },
    parameters: {},
    func() {
      this.io.stdout.write(text)
    },
  })
}
