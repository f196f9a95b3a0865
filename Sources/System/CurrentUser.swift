import Glibc

/// The name of the user that runs this process, or its number if it has none: `alice`, `1000`.
package var currentUserName: String {
  let user = getuid()
  var entry = unsafe passwd()
  var buffer = [CChar](repeating: 0, count: 16 << 10)
  var found: UnsafeMutablePointer<passwd>?
  let status = unsafe getpwuid_r(user, &entry, &buffer, buffer.count, &found)
  guard status == 0, unsafe found != nil, let name = unsafe entry.pw_name else { return "\(user)" }
  // The name is in `buffer`.
  return withExtendedLifetime(buffer) { unsafe String(cString: name) }
}

/// The number of that user.
package var currentUserNumber: UInt32 { getuid() }

/// The process that has started this one; 1 or a reaper after that has ended.
package var parentProcess: Int32 { getppid() }
