-- Each request publishes one CloudEvent of an id of its own; the last line is what was seen, as JSON.
local number = 0
local run = tostring(os.time()) .. tostring(os.clock())

function request()
    number = number + 1
    local id = run .. "-" .. tostring(wrk.thread) .. "-" .. number
    local body = string.format(
        '{"specversion":"1.0","id":"%s","source":"wrk","type":"note.taken","data":{"note_id":"%s","text":"a note"}}',
        id, id)
    return wrk.format("POST", "/v1/events", {["Content-Type"] = "application/cloudevents+json"}, body)
end

function done(summary, latency, requests)
    local errors = summary.errors
    print(string.format(
        '{"requests": %d, "took_us": %d, "failed": %d, "p50_us": %d, "p99_us": %d}',
        summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
