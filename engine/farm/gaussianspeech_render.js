// SPDX-License-Identifier: GPL-3.0-or-later
//
// Job type for Flamenco 3 (https://flamenco.blender.org/usage/job-types/): put it into the folder
// "scripts" beside the Manager. Frames are rendered in chunks; where they go and as what is the
// scene's own affair. "gaussianspeech farm" writes this file, enable_extension.py and the
// extension's zip into one folder, whose enable_extension.py is the job's "Enable Script".

const JOB_TYPE = {
    label: "GaussianSpeech Render",
    description: "Renders a scene with Gaussian avatars in chunks of frames, with the extension from the job",
    settings: [
        {
            key: "frames", type: "string", required: true,
            eval: "f'{C.scene.frame_start}-{C.scene.frame_end}'",
            description: "Frames to render, such as '1-250' or '3, 5-10'",
        },
        {
            key: "chunk_size", type: "int32", default: 20,
            description: "Frames of a task; each loads the scene and the avatars once",
        },
        {
            key: "enable_script", type: "string", subtype: "file_path", required: true,
            description: "enable_extension.py in the folder that 'gaussianspeech farm' wrote",
        },
        { key: "blendfile", type: "string", required: true, visible: "web", description: "The scene" },
        { key: "scene", type: "string", required: true, eval: "C.scene.name", visible: "web", description: "Scene to render" },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    for (const chunk of frameChunker(settings.frames, settings.chunk_size)) {
        const task = author.Task(`render-${chunk}`, "blender");
        const command = author.Command("blender-render", {
            exe: "{blender}",
            exeArgs: "{blenderArgs}",
            // Before the scene is opened, and so that an error fails the task.
            argsBefore: ["--python-exit-code", "1", "--python", settings.enable_script],
            blendfile: settings.blendfile,
            args: ["--scene", settings.scene, "--render-frame", chunk.replaceAll("-", "..")],
        });
        task.addCommand(command);
        job.addTask(task);
    }
}
