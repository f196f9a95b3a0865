import CLibcurl

/// A loop's cache of resolved names, shared by its connections.
///
/// Without it, each connect starts a resolver thread. It has no lock functions: only its loop may use it, and it must
/// outlive the loop's connections.
@safe package final class NameCache {
  let share: UnsafeMutableRawPointer
  let failedAddresses: FailedAddresses

  /// - Parameter failedAddresses: shared by all loops.
  package init(failedAddresses: FailedAddresses = FailedAddresses()) {
    self.failedAddresses = failedAddresses
    guard let share = unsafe curl_share_init() else { preconditionFailure("libcurl: no memory for a share") }
    unsafe self.share = share
    _ = unsafe curl_share_set_lock_data(share, CURL_LOCK_DATA_DNS)
  }

  deinit { unsafe curl_share_cleanup(share) }
}
