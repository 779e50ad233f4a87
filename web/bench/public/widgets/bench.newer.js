// A pack's widget for an editor that is not there yet.
export default { api: 2, render() {} };
