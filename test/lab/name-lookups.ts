// Finds in a trace of system calls whether a program asked anybody for a name.

/** Runs a command, and all that it starts, under a trace of what they open and whom they talk to; ends with it. */
export function traced(file: string): readonly string[] {
  const calls = 'trace=open,openat,openat2,connect,sendto,sendmsg,sendmmsg'
  return ['strace', '-f', '-qq', '--seccomp-bpf', '-s', '200', '-e', calls, '-o', file]
}

/** The same beside a command that goes on: whoever signals the process signals the command. */
export function tracedBeside(file: string): readonly string[] {
  return [...traced(file), '-D']
}

const LOOKUPS = [
  // DNS, by datagram or stream.
  /htons\(53\)/,
  // Daemons that answer for the C library.
  /sun_path="[^"]*(nscd|systemd\/resolve|avahi)[^"]*"/,
  // What getaddrinfo reads before it asks.
  /"\/etc\/(hosts|host\.conf|gai\.conf)"/,
]

/** Node reads these when its module dns is loaded, as any listening socket makes it: the resolver gets ready, and asks nobody. */
const RESOLVER_SETTINGS = /"\/etc\/(resolv|nsswitch)\.conf"/

/** The lines of a trace that are part of a name look-up. */
export function lookupsIn(trace: string): readonly string[] {
  return trace.split('\n').filter((line) => LOOKUPS.some((lookup) => lookup.test(line)))
}

/** The lines that read where a resolver would be: once each in a process that listens, again and again in one that looks names up. */
export function resolverSettingsRead(trace: string): readonly string[] {
  return trace.split('\n').filter((line) => RESOLVER_SETTINGS.test(line))
}
