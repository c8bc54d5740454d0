// A page opened from disk may not start a worker, and the site's search is one. Here the worker's script runs in a hidden
// frame instead. (The theme would fetch such a script from another host unless one of this name is given.)
if (location.protocol === "file:") {
  class IFrameWorker extends EventTarget {
    constructor(url) {
      super()
      this.frame = Object.assign(document.createElement("iframe"), { hidden: true })
      document.body.append(this.frame)
      const inner = this.frame.contentWindow
      inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.ready = new Promise((done, failed) => {
        const script = inner.document.createElement("script")
        Object.assign(script, { src: new URL(url, location.href).href, onload: done, onerror: failed })
        inner.document.body.append(script)
      })
    }

    async postMessage(data) {
      await this.ready
      const inner = this.frame.contentWindow
      inner.dispatchEvent(new inner.MessageEvent("message", { data }))
    }

    terminate() {
      this.frame.remove()
    }
  }
  window.IFrameWorker = window.Worker = IFrameWorker
}
