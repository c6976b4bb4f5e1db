// A small scene of everything that the kernels meet, as plain vectors, and the structs that point into them.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "../../csrc/kernels/all.h"

namespace fastsynth {

using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;

struct World {
  Floats vertices, bounds, errors, boxes, hull, materials;
  Ints faces, meshlets, levels, meshes, material_textures, mesh_class, colors;
  Ints texels, texture_info, texture_offsets;
  Floats poses, intrinsics, cameras;
  Ints mesh_id, layer;
  Ints light_kind, texture_id, photo_id;
  Floats light_position, light_direction, light_color, light_cone, ambient, base_color, metallic, roughness;
  Floats background, crop, exposure, white_balance, color_matrix;
  int images = 2, instances = 9;
  int max_faces = 0;

  void add_vertex(const float* p, const float* n, float u, float v) {
    const float row[8] = {p[0], p[1], p[2], n[0], n[1], n[2], u, v};
    vertices.insert(vertices.end(), row, row + 8);
  }

  // A grid over a function of (u, v), cut into meshlets of one patch each.
  template <class F>
  void add_mesh(int rows, int columns, int material, const F& surface) {
    const int first_face = int(faces.size() / 4), first_meshlet = int(meshlets.size() / 4);
    float low[3] = {1e9f, 1e9f, 1e9f}, high[3] = {-1e9f, -1e9f, -1e9f};
    const int first_hull = int(hull.size() / 3);
    constexpr int kPatch = 5;
    for (int r0 = 0; r0 < rows; r0 += kPatch)
      for (int c0 = 0; c0 < columns; c0 += kPatch) {
        const int h = std::min(kPatch, rows - r0), w = std::min(kPatch, columns - c0);
        const int vertex = int(vertices.size() / 8), face = int(faces.size() / 4);
        float a[3] = {1e9f, 1e9f, 1e9f}, b[3] = {-1e9f, -1e9f, -1e9f};
        for (int r = 0; r <= h; ++r)
          for (int c = 0; c <= w; ++c) {
            float p[3], n[3];
            const float u = float(c0 + c) / columns, v = float(r0 + r) / rows;
            surface(u, v, p, n);
            add_vertex(p, n, 2 * u, v);
            hull.insert(hull.end(), p, p + 3);
            colors.push_back(int32_t(0xff80ffc0u));
            for (int i = 0; i < 3; ++i) {
              a[i] = std::min(a[i], p[i]);
              b[i] = std::max(b[i], p[i]);
            }
          }
        for (int r = 0; r < h; ++r)
          for (int c = 0; c < w; ++c) {
            const int at = vertex + r * (w + 1) + c, up = at + w + 1;
            const int quad[8] = {at, at + 1, up + 1, material, at, up + 1, up, material};
            faces.insert(faces.end(), quad, quad + 8);
          }
        const int row[4] = {vertex, (h + 1) * (w + 1), face, 2 * h * w};
        meshlets.insert(meshlets.end(), row, row + 4);
        float radius = 0;
        for (int i = 0; i < 3; ++i) radius += (b[i] - a[i]) * (b[i] - a[i]) / 4;
        const float sphere[8] = {
            (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2, std::sqrt(radius), 0, 0, 1, 2};
        bounds.insert(bounds.end(), sphere, sphere + 8);
        for (int i = 0; i < 3; ++i) {
          low[i] = std::min(low[i], a[i]);
          high[i] = std::max(high[i], b[i]);
        }
      }
    const int count = int(faces.size() / 4) - first_face;
    max_faces = std::max(max_faces, count);
    const int level[4] = {first_meshlet, int(meshlets.size() / 4) - first_meshlet, first_face, count};
    // Two levels of detail, the same in this world: what matters here is that both are found.
    const int mesh[4] = {int(levels.size() / 4), 2, first_hull, int(hull.size() / 3) - first_hull};
    levels.insert(levels.end(), level, level + 4);
    levels.insert(levels.end(), level, level + 4);
    errors.insert(errors.end(), {0.0f, 0.001f});
    meshes.insert(meshes.end(), mesh, mesh + 4);
    boxes.insert(boxes.end(), low, low + 3);
    boxes.insert(boxes.end(), high, high + 3);
    mesh_class.push_back(int(mesh_class.size()));
  }

  void add_texture(int width, int height, int wrap) {
    Ints starts;
    int levels_here = 0;
    for (int w = width, h = height;; w = std::max(1, w / 2), h = std::max(1, h / 2)) {
      starts.push_back(int(texels.size()));
      ++levels_here;
      for (int i = 0; i < w * h; ++i) texels.push_back(int32_t(uint32_t(i * 2654435761u) | (i % 3 ? 0xff000000u : 0u)));
      if (w == 1 && h == 1) break;
    }
    starts.resize(kMaxLevels, starts.back());
    texture_offsets.insert(texture_offsets.end(), starts.begin(), starts.end());
    const int row[4] = {width, height, levels_here, wrap};
    texture_info.insert(texture_info.end(), row, row + 4);
  }

  World() {
    const auto sphere = [](float u, float v, float* p, float* n) {
      const float a = 6.2831853f * u, b = 3.1415926f * (v - 0.5f);
      n[0] = std::cos(b) * std::cos(a);
      n[1] = std::cos(b) * std::sin(a);
      n[2] = std::sin(b);
      for (int i = 0; i < 3; ++i) p[i] = 0.5f * n[i];
    };
    const auto plane = [](float u, float v, float* p, float* n) {
      p[0] = u - 0.5f;
      p[1] = v - 0.5f;
      p[2] = 0;
      n[0] = n[1] = 0;
      n[2] = 1;
    };
    add_texture(7, 5, kRepeat);
    add_texture(16, 8, kMirror);
    add_texture(4, 4, kClamp);
    const float looks[4][8] = {{1, 1, 1, 1, 0.2f, 0.5f, 0, 0},     // one-sided
                               {0.8f, 0.9f, 1, 1, 0, 0.7f, 0, 1},  // two-sided
                               {1, 1, 1, 1, 0, 0.4f, 0.5f, 1},     // with holes
                               {1, 0.5f, 0.2f, 1, 1, 0.1f, 0, 0}};
    const int pictures[4][2] = {{0, 2}, {1, -1}, {0, -1}, {-1, -1}};
    for (int m = 0; m < 4; ++m) {
      materials.insert(materials.end(), looks[m], looks[m] + 8);
      material_textures.insert(material_textures.end(), pictures[m], pictures[m] + 2);
    }
    add_mesh(12, 17, 0, sphere);
    add_mesh(1, 1, 1, plane);  // two triangles, as large as the pose makes them
    add_mesh(3, 4, 2, plane);
    add_mesh(9, 11, 3, sphere);

    const int meshes_of[9] = {0, 1, 2, 3, 0, -1, 1, 3, 0};
    for (int b = 0; b < images; ++b)
      for (int n = 0; n < instances; ++n) {
        mesh_id.push_back(meshes_of[n]);
        const float turn = 0.7f * n + b,
                    s = n == 1   ? 6.0f
                        : n == 6 ? 40.0f
                                 : 0.6f + 0.1f * n,
                    mirror = n == 7 ? -1.0f : 1.0f;
        const float c = std::cos(turn), i = std::sin(turn);
        // Number 6 is a ground that runs under the camera and behind it; number 8 stands around the eye.
        const float x = n == 8 ? 0 : 0.5f * (n % 3) - 0.5f, y = n == 6 ? 0.4f : 0.4f * (n / 3) - 0.4f,
                    z = n == 1             ? 5.0f
                        : n == 6 || n == 8 ? 0.0f
                                           : 1.6f + 0.3f * n;
        const float level[16] = {s, 0, 0, x, 0, 0, -s, y, 0, s, 0, z, 0, 0, 0, 1};
        const float pose[16] = {s * c * mirror, -s * i, 0, x, s * i * mirror, s * c, 0, y, 0, 0, s, z, 0, 0, 0, 1};
        const float* chosen = n == 6 ? level : pose;
        poses.insert(poses.end(), chosen, chosen + 16);
        const float tint[4] = {1, 0.9f, 0.8f, 1};
        base_color.insert(base_color.end(), tint, tint + 4);
        metallic.push_back(n == 4 ? 0.9f : -1.0f);
        roughness.push_back(n == 4 ? 0.2f : -1.0f);
        texture_id.push_back(n == 3 ? 1 : n == 4 ? -2 : n == 7 ? 99 : -1);
      }
    for (int b = 0; b < images; ++b) {
      const float k[9] = {0.9f, 0.01f, 0.02f, 0, 0.95f, -0.03f, 0, 0, 1};
      intrinsics.insert(intrinsics.end(), k, k + 9);
      const float camera[16] = {1, 0, 0, 0.1f * b, 0, 1, 0, 0, 0, 0, 1, 0.05f, 0, 0, 0, 1};
      cameras.insert(cameras.end(), camera, camera + 16);
      for (int l = 0; l < 4; ++l) {
        light_kind.push_back(l);
        const float position[3] = {0.5f * l, -1, 0.5f}, direction[3] = {0, 0.6f, 0.8f}, color[3] = {0.6f, 0.5f, 0.4f},
                    cone[2] = {0.9f, 0.5f};
        light_position.insert(light_position.end(), position, position + 3);
        light_direction.insert(light_direction.end(), direction, direction + 3);
        light_color.insert(light_color.end(), color, color + 3);
        light_cone.insert(light_cone.end(), cone, cone + 2);
      }
      for (int i = 0; i < 27; ++i) ambient.push_back(i < 3 ? 0.8f : b ? 0.05f * (i % 5) : 0.0f);
      const float top_bottom[6] = {0.1f, 0.2f, 0.3f, 0.4f, 0.3f, 0.2f};
      background.insert(background.end(), top_bottom, top_bottom + 6);
      photo_id.push_back(b - 1);
      const float part[4] = {0.1f, 0.2f, 0.8f, 0.9f};
      crop.insert(crop.end(), part, part + 4);
      exposure.push_back(0.3f * b);
      white_balance.insert(white_balance.end(), {1.0f, 0.9f, 1.1f});
    }
  }

  Textures textures() const {
    return {texels.data(), texture_info.data(), texture_offsets.data(), int32_t(texture_info.size() / 4)};
  }
  AssetView assets() const {
    return {vertices.data(),
            colors.data(),
            faces.data(),
            meshlets.data(),
            bounds.data(),
            levels.data(),
            errors.data(),
            meshes.data(),
            boxes.data(),
            hull.data(),
            materials.data(),
            material_textures.data(),
            int32_t(meshes.size() / 4),
            int32_t(faces.size() / 4),
            textures()};
  }
  SceneView scene() const {
    return {images,
            instances,
            mesh_id.data(),
            poses.data(),
            intrinsics.data(),
            cameras.data(),
            0.05f,
            layer.empty() ? nullptr : layer.data()};
  }
  LookView look(int shading, int tone, bool mips) const {
    return {base_color.data(),
            metallic.data(),
            roughness.data(),
            texture_id.data(),
            4,
            light_kind.data(),
            light_position.data(),
            light_direction.data(),
            light_color.data(),
            light_cone.data(),
            ambient.data(),
            background.data(),
            photo_id.data(),
            crop.data(),
            exposure.data(),
            white_balance.data(),
            textures(),
            shading,
            tone,
            mips,
            color_matrix.empty() ? nullptr : color_matrix.data()};
  }
};

}  // namespace fastsynth
