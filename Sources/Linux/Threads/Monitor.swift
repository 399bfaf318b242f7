internal import Glibc

/// A value that threads share, and wait on until it is as they need it.
@safe
package final class Monitor<State>: @unchecked Sendable {
    // `state` is touched only while `mutex` is held.
    private var state: State
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>

    package init(_ state: State) {
        self.state = state
        unsafe mutex = .allocate(capacity: 1)
        unsafe changed = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(changed, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe pthread_mutex_destroy(mutex)
        unsafe changed.deallocate()
        unsafe mutex.deallocate()
    }

    /// Reads the value, or changes it in a way that nobody waits for.
    package func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&state)
    }

    /// Changes the value, and wakes all threads that wait on it.
    @discardableResult
    package func update<Result>(_ body: (inout State) -> Result) -> Result {
        // Woken after the lock is free, or they would wait for that first.
        defer { unsafe pthread_cond_broadcast(changed) }
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// Waits until `body` gives something other than nil. It is asked at once and after each update, under the lock.
    @discardableResult
    package func wait<Result>(_ body: (inout State) -> Result?) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            unsafe pthread_cond_wait(changed, mutex)
        }
    }

    /// The same, at most until a deadline.
    ///
    /// - Returns: nil once the deadline has passed and `body` still gives nil.
    package func wait<Result>(until deadline: Instant?, _ body: (inout State) -> Result?) -> Result? {
        waitWithMovingDeadline { state, next in
            next = deadline
            return body(&state)
        }
    }

    /// The same, at most until a deadline that `body` sets each time that it gives nil; nil is for none.
    package func waitWithMovingDeadline<Result>(_ body: (inout State, _ deadline: inout Instant?) -> Result?) -> Result?
    {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        var deadline: Instant?
        while true {
            if let result = body(&state, &deadline) { return result }
            guard let deadline else {
                unsafe pthread_cond_wait(changed, mutex)
                continue
            }
            let left = deadline - .now
            if left.nanoseconds == 0 { return nil }
            var until = timespec()
            unsafe clock_gettime(CLOCK_MONOTONIC, &until)
            // A day at a time: the clocks differ by the time that the machine slept.
            let nanoseconds = UInt64(until.tv_nsec) + min(left.nanoseconds, 86_400_000_000_000)
            until.tv_sec += Int(nanoseconds / 1_000_000_000)
            until.tv_nsec = Int(nanoseconds % 1_000_000_000)
            unsafe pthread_cond_timedwait(changed, mutex, &until)
        }
    }
}
