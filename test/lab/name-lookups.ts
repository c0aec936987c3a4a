// Finds in a trace of system calls whether a program asked anybody for a name.

/** Runs a command, and all that it starts, under a trace of what they open and whom they talk to. */
export function traced(file: string): readonly string[] {
  const calls = 'trace=open,openat,openat2,connect,sendto,sendmsg,sendmmsg'
  return ['strace', '-f', '-qq', '--seccomp-bpf', '-s', '200', '-e', calls, '-o', file]
}

const LOOKUPS = [
  // DNS, by datagram or stream.
  /htons\(53\)/,
  // Daemons that answer for the C library.
  /sun_path="[^"]*(nscd|systemd\/resolve|avahi)[^"]*"/,
  // What getaddrinfo reads before it asks.
  /"\/etc\/(resolv\.conf|hosts|nsswitch\.conf|host\.conf|gai\.conf)"/,
]

/** The lines of a trace that are part of a name look-up. */
export function lookupsIn(trace: string): readonly string[] {
  return trace.split('\n').filter((line) => LOOKUPS.some((lookup) => lookup.test(line)))
}
