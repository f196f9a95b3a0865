import CProcessor

#if arch(x86_64)
  /// SHA-256 by the instructions that processors have for it: a block takes a third of the time.
  enum SHA256Instructions {
    static let areAvailable = processor_has_sha() != 0

    /// The eight words of a state as the instructions take them, in ascending order of the lanes.
    private struct Halves {
      var feba: SIMD4<UInt32>
      var hgdc: SIMD4<UInt32>

      @inline(__always)
      init(_ state: SHA256State) {
        feba = SIMD4(state.h5, state.h4, state.h1, state.h0)
        hgdc = SIMD4(state.h7, state.h6, state.h3, state.h2)
      }

      /// Four rounds.
      ///
      /// - Parameter words: of the schedule, with their constants added.
      @inline(__always)
      mutating func round(_ words: SIMD4<UInt32>) {
        hgdc = processor_sha256_rounds(hgdc, feba, words)
        feba = processor_sha256_rounds(feba, hgdc, SIMD4(words[2], words[3], words[2], words[3]))
      }
    }

    @inline(never)
    static func compress(_ block: SHA256State.Block, into state: inout SHA256State) {
      var halves = Halves(state)
      var w0 = SIMD4(block[0], block[1], block[2], block[3])
      var w4 = SIMD4(block[4], block[5], block[6], block[7])
      var w8 = SIMD4(block[8], block[9], block[10], block[11])
      var w12 = SIMD4(block[12], block[13], block[14], block[15])
      halves.round(w0 &+ SHA256Schedule.constants(0))
      halves.round(w4 &+ SHA256Schedule.constants(4))
      halves.round(w8 &+ SHA256Schedule.constants(8))
      halves.round(w12 &+ SHA256Schedule.constants(12))
      for start in stride(from: 16, to: 64, by: 16) {
        w0 = next(w0, w4, w8, w12)
        halves.round(w0 &+ SHA256Schedule.constants(start))
        w4 = next(w4, w8, w12, w0)
        halves.round(w4 &+ SHA256Schedule.constants(start &+ 4))
        w8 = next(w8, w12, w0, w4)
        halves.round(w8 &+ SHA256Schedule.constants(start &+ 8))
        w12 = next(w12, w0, w4, w8)
        halves.round(w12 &+ SHA256Schedule.constants(start &+ 12))
      }
      add(halves, to: &state)
    }

    /// - Parameter schedule: `inout` only so that the compiler does not copy it.
    @inline(never)
    static func compress(_ schedule: inout SHA256Schedule, into state: inout SHA256State) {
      var halves = Halves(state)
      for start in stride(from: 0, to: 64, by: 4) { halves.round(schedule.four(start)) }
      add(halves, to: &state)
    }

    @inline(__always)
    private static func next(
      _ w0: SIMD4<UInt32>, _ w4: SIMD4<UInt32>, _ w8: SIMD4<UInt32>, _ w12: SIMD4<UInt32>
    ) -> SIMD4<UInt32> {
      let sums = processor_sha256_schedule_1(w0, w4) &+ SIMD4(w8[1], w8[2], w8[3], w12[0])
      return processor_sha256_schedule_2(sums, w12)
    }

    @inline(__always)
    private static func add(_ halves: Halves, to state: inout SHA256State) {
      state.h0 &+= halves.feba[3]
      state.h1 &+= halves.feba[2]
      state.h2 &+= halves.hgdc[3]
      state.h3 &+= halves.hgdc[2]
      state.h4 &+= halves.feba[1]
      state.h5 &+= halves.feba[0]
      state.h6 &+= halves.hgdc[1]
      state.h7 &+= halves.hgdc[0]
    }
  }
#endif
