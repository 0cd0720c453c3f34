import CLinux
import Glibc

/// What the executable does with its arguments, without the program's name.
/// - Returns: the status to exit with.
public func run(arguments: [String]) -> Int32 {
  // A pipe that its reader has closed is an error of the write, not the end of the process.
  signal(SIGPIPE, SIG_IGN)
  let console = Console()
  do throws(CommandError) {
    var reader = ArgumentReader(arguments)
    switch try reader.read() {
    case .run(let invocation): try invocation.verb.run(invocation, console)
    case .help(let name): try console.show(Help.text(about: name))
    }
    try console.finish()
    return 0
  } catch {
    console.tell(String(error.rendered.dropLast()))
    return error.exitStatus
  }
}

/// Before anything is opened: a file of ours must not become what somebody writes messages to.
public func occupyStandardDescriptors() {
  for number: Int32 in 0...2 where fcntl(number, F_GETFD) < 0 {
    // The lowest number that is free: this one.
    guard unsafe open("/dev/null", O_RDWR) == number else { exit(CommandError.Status.inputOutput) }
  }
}

/// Keeps what this process holds from other processes of the same user and from crash files (SECURITY.md T1.7).
public func shieldProcess() {
  var none = rlimit(rlim_cur: 0, rlim_max: 0)
  _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
  _ = chatelaine_prctl(PR_SET_DUMPABLE, 0)
}
