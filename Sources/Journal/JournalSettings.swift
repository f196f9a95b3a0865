/// Where the keys are kept, for how long, and how many.
package struct JournalSettings: Equatable, Sendable {
  /// Created with mode 0700 if missing.
  package var folder: String
  package var ttlSeconds: Int
  package var keysMax: Int
  package var keysPerClientMax: Int
  /// A claim is not accepted while the files have this size; outcomes of accepted claims are.
  package var diskBytesMax: Int

  package init(folder: String, ttlSeconds: Int, keysMax: Int, keysPerClientMax: Int, diskBytesMax: Int) {
    self.folder = folder
    self.ttlSeconds = ttlSeconds
    self.keysMax = keysMax
    self.keysPerClientMax = keysPerClientMax
    self.diskBytesMax = diskBytesMax
  }

  /// A client's share of the disk: that of the keys, and at least a tenth.
  var clientDiskBytesMax: Int {
    let share = Double(keysPerClientMax) / Double(max(1, keysMax))
    return Int(Double(diskBytesMax) * min(1, max(0.1, share)))
  }
}

/// The state of the journal for operators; a copy.
package struct JournalState: Equatable, Sendable {
  /// All keys, including those in flight and the unknown ones.
  package internal(set) var keys = 0
  package internal(set) var inFlight = 0
  /// Keys that an operator must resolve.
  package internal(set) var unknown = 0
  package internal(set) var diskBytes = 0
  package internal(set) var segments = 0
  /// Of the limits, rounded down; above 100 if a limit was lowered.
  package internal(set) var keysPercent = 0
  package internal(set) var diskPercent = 0
  /// The share of the client that uses most of its limit.
  package internal(set) var clientPercent = 0
  /// Whether keys can be claimed.
  package internal(set) var canWrite = true
  /// Batches made durable. All counts are since the start of the process.
  package internal(set) var synchronizations = 0
  /// Segments abandoned after a fault, and failed attempts to create one.
  package internal(set) var failures = 0
  /// The last fault, such as `No space left on device`; empty if there was none.
  package internal(set) var lastFault = ""
  /// Claims, outcomes and reads that wait for the thread.
  package internal(set) var queueDepth = 0
}
